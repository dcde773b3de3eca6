"""`taktgate`: the one command-line entry."""

import argparse
import sys
from collections.abc import Sequence
from importlib.util import find_spec

from taktgate import __version__
from taktgate.plc.commands import cli as plc
from taktgate.rollout import cli as rollout

EXIT_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command in *arguments* (by default the process's); return the exit code."""
    parser = argparse.ArgumentParser(
        prog="taktgate",
        description="AI pass/fail inspection on an automotive line.",
        epilog="example: taktgate demo --parts 20",
    )
    parser.add_argument("--version", action="version", version=f"taktgate {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    rollout.add_commands(commands)
    plc_commands = plc.add_commands(commands)
    if find_spec("tuf"):  # what publishes, and the stager
        from taktgate.registry.commands import cli as registry
        from taktgate.registry.models import cli as model

        model.add_commands(commands)
        registry.add_commands(commands)
    if find_spec("taktgate.standin"):  # images come without the local world
        from taktgate.standin.azure.world import cli as world
        from taktgate.standin.demo import cli as demo
        from taktgate.standin.handshake_model.cli import add_model_check

        demo.add_commands(commands)
        world.add_commands(commands)
        add_model_check(plc_commands)
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
