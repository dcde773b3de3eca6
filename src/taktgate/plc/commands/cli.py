"""`taktgate plc`: what a controls engineer needs of the PLC link."""

import argparse
import sys
from pathlib import Path
from typing import Any

from taktgate.edge.files import publish
from taktgate.plc.ladder.l5x import to_l5x


def add_commands(commands: Any) -> Any:
    """Add `plc` to an argparse sub-parser collection; return the collection of its own commands."""
    plc = commands.add_parser(
        "plc",
        help="the PLC link: the file to import, the proof of its handshake",
        epilog="example: taktgate plc l5x -o VIS01.L5X",
    )
    own = plc.add_subparsers(required=True, metavar="COMMAND")
    l5x = own.add_parser(
        "l5x",
        help="write the types, tags and gate routine that Studio 5000 imports",
        epilog="example: taktgate plc l5x -o VIS01.L5X",
    )
    l5x.add_argument("-o", "--output", type=Path, help="the file; standard output if not given")
    l5x.set_defaults(run=_write_l5x)
    return own


def _write_l5x(options: argparse.Namespace) -> int:
    text = to_l5x()
    if options.output is None:
        sys.stdout.write(text)
        return 0
    try:
        publish(options.output, text.encode())
    except OSError as error:
        sys.stderr.write(f"taktgate: {options.output}: {error.strerror}\n")
        return 2
    return 0
