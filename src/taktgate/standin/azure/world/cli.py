"""`taktgate world`: the local Azure by hand."""

from typing import Any


def add_commands(commands: Any) -> None:
    """Add `world` with its commands to an argparse sub-parser collection."""
    world = commands.add_parser(
        "world",
        help="a local Azure: hub, edgeHub, edgeAgent and deployments on loopback",
        epilog="example: taktgate world route-check < routes.jsonl",
    )
    world.add_subparsers(required=True, metavar="COMMAND")
