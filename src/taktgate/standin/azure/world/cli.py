"""`taktgate world`: the local Azure by hand."""

from typing import Any

from taktgate.standin.azure.world import route_check


def add_commands(commands: Any) -> None:
    """Add `world` with its commands to an argparse sub-parser collection."""
    world = commands.add_parser(
        "world",
        help="a local Azure: hub, edgeHub, edgeAgent and deployments on loopback",
        epilog="example: taktgate world route-check < routes.jsonl",
    )
    world_commands = world.add_subparsers(required=True, metavar="COMMAND")
    route_check.add_command(world_commands)
