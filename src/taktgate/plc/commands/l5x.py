"""`taktgate plc l5x`: the file that Studio 5000 imports."""

import argparse
import sys
from pathlib import Path
from typing import Any, Final

from taktgate.edge.files import publish
from taktgate.edge.places import SettingsError
from taktgate.edge.settings import StationSettings, load_station
from taktgate.plc.ladder.gate_operands import OPERANDS
from taktgate.plc.ladder.l5x import DEADLINE_MS, Plant, to_l5x

EXIT_USAGE: Final = 2


def add_l5x(commands: Any) -> None:
    """Add `l5x` to the commands of `taktgate plc`."""
    l5x = commands.add_parser(
        "l5x",
        help="write the types, tags and gate routine that Studio 5000 imports",
        epilog="example: taktgate plc l5x --station config/station.yaml -o VIS01.L5X",
    )
    l5x.add_argument("--station", type=Path, help="station.yaml: its name and plc.profile count")
    l5x.add_argument("--profile", choices=tuple(OPERANDS), help="default: the station's, or udt")
    l5x.add_argument(
        "--deadline-ms",
        type=int,
        default=DEADLINE_MS,
        help=f"first value of DeadlineMs: trigger to acknowledgement (default {DEADLINE_MS})",
    )
    l5x.add_argument("-o", "--output", type=Path, help="the file; standard output if not given")
    l5x.set_defaults(run=_write_l5x)


def _write_l5x(options: argparse.Namespace) -> int:
    try:
        text = _text(options)
    except (SettingsError, ValueError) as error:
        sys.stderr.write(f"taktgate: {error}\n")
        return EXIT_USAGE
    if options.output is None:
        sys.stdout.write(text)
        return 0
    if options.output.exists() and not options.output.is_file():
        sys.stderr.write(f"taktgate: {options.output}: must be a file\n")
        return EXIT_USAGE
    try:
        publish(options.output, text.encode())
    except OSError as error:
        sys.stderr.write(f"taktgate: {options.output}: {error.strerror}\n")
        return EXIT_USAGE
    return 0


def _text(options: argparse.Namespace) -> str:
    plant = Plant(deadline_ms=options.deadline_ms)
    profile = options.profile or "udt"
    if options.station is not None:
        station = load_station(options.station)
        plant = Plant(station=station.station, deadline_ms=options.deadline_ms)
        _check_deadline(station, options.deadline_ms)
        if options.profile not in (None, station.plc.profile):
            raise ValueError(
                f"--profile {options.profile}: {options.station} says {station.plc.profile}, "
                "and the writer would refuse the tags"
            )
        profile = station.plc.profile
    return to_l5x(OPERANDS[profile], plant)


def _check_deadline(station: StationSettings, deadline_ms: int) -> None:
    reserves = {
        "judge.decision_reserve_ms": station.judge.decision_reserve_ms,
        "plc.write_reserve_ms": station.plc.write_reserve_ms,
    }
    for name, reserve_ms in reserves.items():
        if deadline_ms <= reserve_ms:
            raise ValueError(
                f"deadline_ms must be more than the station's {name} ({reserve_ms}), "
                f"got {deadline_ms}: no part could be judged in time"
            )
