"""`python -m taktgate.standin.line`: the PLC of the local world, in a process of its own."""

import argparse
import sys
from pathlib import Path
from typing import Final

from taktgate.standin.control.commands import ControlError
from taktgate.standin.control.run import parse_address, run_until_told
from taktgate.standin.line.plc import Plc, PlcSettings
from taktgate.standin.line.program import LineSettings
from taktgate.standin.logix.errors import ListenError
from taktgate.standin.logix.foreign_tags import MOST_FOREIGN_TAGS
from taktgate.standin.logix.server import DEFAULT_PORT

_MOST_JITTER_MS: Final = 500


def parse_arguments(arguments: list[str]) -> PlcSettings:
    """Return the settings in *arguments*; ends the process with code 2 when they break a rule."""
    parser = argparse.ArgumentParser(prog="python -m taktgate.standin.line", allow_abbrev=False)
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="0 takes a free one")
    parser.add_argument("--camera-trigger", type=parse_address, metavar="HOST:PORT")
    parser.add_argument("--control", type=Path, required=True, help="path of the unix socket")
    parser.add_argument("--deadline-ms", type=int, default=200)
    parser.add_argument("--gate-delay-ms", type=int, help="default: deadline + 100")
    parser.add_argument("--watchdog-ms", type=int, default=400)
    parser.add_argument("--scan-ms", type=int, default=5, choices=range(1, 51), metavar="1..50")
    add = parser.add_argument
    add("--scan-jitter-ms", type=float, default=0.0, help="each scan begins up to so much later")
    add("--seed", type=int, default=0, help="of the jitter")
    add("--extra-tags", type=int, default=0, help="tags of a plant among ours")
    add("--flap-ms", type=int, default=500, help="from the eye of the gate to its flap")
    add("--gate-move-ms", type=int, default=30, help="what the flap takes to move")
    add(
        "--program",
        choices=("python", "ladder"),
        default="python",
        help="ladder runs the very rungs that `taktgate plc l5x` writes",
    )
    options = parser.parse_args(arguments)
    if not 0 <= options.scan_jitter_ms <= _MOST_JITTER_MS:
        parser.error(f"--scan-jitter-ms must be 0..{_MOST_JITTER_MS}")
    if not 0 <= options.extra_tags <= MOST_FOREIGN_TAGS:
        parser.error(f"--extra-tags must be 0..{MOST_FOREIGN_TAGS}")
    try:
        line = LineSettings(
            deadline_ms=options.deadline_ms,
            gate_delay_ms=options.gate_delay_ms or options.deadline_ms + 100,
            watchdog_ms=options.watchdog_ms,
            flap_ms=options.flap_ms,
            gate_move_ms=options.gate_move_ms,
        )
    except ValueError as error:
        parser.error(str(error))
    return PlcSettings(
        host=options.host,
        port=options.port,
        camera_trigger=options.camera_trigger,
        control=options.control,
        scan_ms=options.scan_ms,
        scan_jitter_ms=options.scan_jitter_ms,
        seed=options.seed,
        extra_tags=options.extra_tags,
        is_ladder=options.program == "ladder",
        line=line,
    )


def main() -> int:
    """Run the PLC until SIGTERM; return the exit code."""
    settings = parse_arguments(sys.argv[1:])

    return run_until_told("plc stand-in", Plc(settings).serve, (ListenError, ControlError))


if __name__ == "__main__":
    sys.exit(main())
