"""Start of a module: what each `modules/*/main.py` calls."""

import argparse
import logging
import os
import sys
from collections.abc import Callable, Collection, Mapping

from taktgate.edge.exits import EXIT_BAD_SETTINGS, EXIT_ROLE_TAKEN
from taktgate.edge.logs import set_up_logging
from taktgate.edge.places import Places, SettingsError, places_from
from taktgate.edge.process import RoleTakenError, hold_role
from taktgate.edge.supervisor import Child, Supervisor

log = logging.getLogger(__name__)


def run_module(
    name: str,
    roles: Mapping[str, str],
    *,
    expendable: Collection[str] = (),
    check: Callable[[Places], None] | None = None,
) -> int:
    """Supervise the processes of module *name* until SIGTERM; return the exit code.

    Args:
        name: the module's name, as in the deployment.
        roles: the Python module to run for each role, for example {"writer": "taktgate.plc..."}.
        expendable: the roles without which the others do their work: the control plane's.
        check: reads what this module needs besides station.yaml and raises SettingsError; called
            by `--check` alone, so that it may import what a supervisor should not hold.
    """
    parser = argparse.ArgumentParser(prog=name, description=f"Taktgate module {name}")
    parser.add_argument("--check", action="store_true", help="check the settings, then exit")
    arguments = parser.parse_args()
    set_up_logging(f"{name}/supervisor")
    try:
        places = places_from()
        if arguments.check:
            # Here, not above: each process checks for itself, and a supervisor is to stay small.
            from taktgate.edge.settings import load_station

            load_station(places.station_file)
            if check is not None:
                check(places)
            return 0
        lock = hold_role(places.private / "supervisor.lock")
    except SettingsError as error:
        log.critical("refusing to start: %s", error)
        return EXIT_BAD_SETTINGS
    except RoleTakenError as error:
        log.critical("refusing to start: %s", error)
        return EXIT_ROLE_TAKEN
    children = [
        Child(
            role=role,
            argv=[sys.executable, "-m", module],
            is_expendable=role in expendable,
        )
        for role, module in roles.items()
    ]
    with lock:
        return Supervisor(children, environment=os.environ).run()
