"""`taktgate plc`: what a controls engineer needs of the PLC link."""

from typing import Any

from taktgate.plc.commands.check import add_check
from taktgate.plc.commands.l5x import add_l5x
from taktgate.plc.commands.watch import add_watch


def add_commands(commands: Any) -> Any:
    """Add `plc` to an argparse sub-parser collection; return the collection of its own commands."""
    plc = commands.add_parser(
        "plc",
        help="the PLC link: the file to import, a controller checked and watched",
        epilog="example: taktgate plc l5x --station config/station.yaml -o VIS01.L5X",
    )
    own = plc.add_subparsers(required=True, metavar="COMMAND")
    add_l5x(own)
    add_check(own)
    add_watch(own)
    return own
