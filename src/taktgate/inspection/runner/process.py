"""The process of one model. Started for the judge, dies with its parent, serves one socket.

A candidate loads and is probed at idle priority without taking anything from the live model, and
without needing the right to climb again: niceness belongs to a thread on Linux, so the loading
thread alone steps back and the serving thread never does. What the serving thread does before, and
what this file imports for it, is at ordinary priority: next to nothing.
"""

import gc
import socket
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from taktgate.edge.logs import set_up_logging
from taktgate.edge.process import OrphanedError, die_with_parent, take_idle_priority

if TYPE_CHECKING:
    from taktgate.inspection.runner.duty import Duty


def main() -> int:
    """Load what the judge assigns, then answer its jobs until it closes the socket."""
    set_up_logging("inference/runner")
    try:
        die_with_parent()
    except OrphanedError:
        return 0  # nobody wants this process any more
    with socket.socket(fileno=int(sys.argv[1])) as judge:
        judge.setblocking(True)
        duty = _prepare(judge, at_idle_priority=sys.argv[2:] != [])
        if duty is not None:
            # Here and not in the loading thread, whose idle priority it would take over.
            duty.runner.watchdog.start()
            gc.freeze()
            judge.send(duty.readiness)
            duty.serve(judge)
    return 0


def _prepare(judge: socket.socket, *, at_idle_priority: bool) -> "Duty | None":
    """Get ready in a thread that may step back."""
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="loader") as loader:
        if at_idle_priority:
            loader.submit(take_idle_priority).result()
        return loader.submit(_prepare_in_thread, judge).result()


def _prepare_in_thread(judge: socket.socket) -> "Duty | None":
    # Here, not above: half of the loading time is these imports, and they are to be idle as well.
    from taktgate.inspection.runner.duty import prepare

    return prepare(judge)


if __name__ == "__main__":
    sys.exit(main())
