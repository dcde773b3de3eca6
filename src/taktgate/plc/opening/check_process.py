"""`python -m taktgate.plc.opening.check_process [FD]`: one full check, one JSON document, the end.

A process of its own, because an upload takes up to seconds, and a look-up of a name may too: the
writer starts it, goes on, and ends it at a limit. The document goes to the descriptor FD; without
one to standard output, where the log goes too.
"""

import os
import sys
from typing import Final

from taktgate.contracts.codec import encode
from taktgate.edge.places import Places, SettingsError
from taktgate.edge.settings import StationSettings
from taktgate.edge.startup import run_process
from taktgate.plc.contract.profiles import profile_named
from taktgate.plc.opening.contract_check import check_controller

_STANDARD_OUTPUT: Final = 1


def run_check(_places: Places, station: StationSettings) -> int:
    """Check the controller of *station* and write what was found; return the exit code.

    Raises:
        SettingsError: the address or the profile is none.
    """
    give_up_priority()
    try:
        report = check_controller(station.plc.address, profile_named(station.plc.profile))
    except ValueError as error:
        raise SettingsError(str(error)) from error
    descriptor = int(sys.argv[1]) if len(sys.argv) > 1 else _STANDARD_OUTPUT
    os.write(descriptor, encode(report) + b"\n")
    return 0


def give_up_priority() -> None:
    """Be an ordinary process, whatever the one that started us is: the writer must not wait."""
    if os.sched_getscheduler(0) != os.SCHED_OTHER:
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))


if __name__ == "__main__":
    sys.exit(run_process("plc_writer/check", run_check))
