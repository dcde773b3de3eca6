"""`python -m taktgate.standin.line`: the PLC of the local world, in a process of its own."""

import argparse
import sys
from pathlib import Path

from taktgate.standin.control.commands import ControlError
from taktgate.standin.control.run import parse_address, run_until_told
from taktgate.standin.line.plc import Plc, PlcSettings
from taktgate.standin.line.program import LineSettings
from taktgate.standin.logix.errors import ListenError
from taktgate.standin.logix.server import DEFAULT_PORT


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
    options = parser.parse_args(arguments)
    try:
        line = LineSettings(
            deadline_ms=options.deadline_ms,
            gate_delay_ms=options.gate_delay_ms or options.deadline_ms + 100,
            watchdog_ms=options.watchdog_ms,
        )
    except ValueError as error:
        parser.error(str(error))
    return PlcSettings(
        host=options.host,
        port=options.port,
        camera_trigger=options.camera_trigger,
        control=options.control,
        scan_ms=options.scan_ms,
        line=line,
    )


def main() -> int:
    """Run the PLC until SIGTERM; return the exit code."""
    settings = parse_arguments(sys.argv[1:])

    return run_until_told("plc stand-in", Plc(settings).serve, (ListenError, ControlError))


if __name__ == "__main__":
    sys.exit(main())
