"""`taktgate world`: the local Azure by hand. Its arguments; what they do is in `cli_commands`."""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from taktgate.standin.azure.world import route_check

_EXAMPLES: Final = """\
example:
  taktgate world up --state world
  taktgate world offline station-1
  taktgate world telemetry --follow

exit codes:
  0  done
  1  refused, or the world stopped to answer
  2  bad input, no such world, or the world could not start
"""
_UP: Final = """\
examples:
  taktgate world up
  taktgate world up --state world --edge-device press-3:ring=canary --images images.json
  taktgate world up --edge-device press-3 --deployment base.json --evaluation-period 300 --speed 60
  taktgate world up --json > world.json &

images.json maps an image's name (the last part of its path, no tag) to a command:
  {"inference": ["python3", "/home/me/inference.py"], "stager": "python3 -m stager"}

Ends with Ctrl-C, SIGTERM or `taktgate world down`, and with it all that it started.
Without --state nothing is kept. The same --state folder gives the same connection string, CA,
devices and twins, also after a kill.
"""
Run = Callable[[argparse.Namespace], int]


def add_commands(commands: Any) -> None:
    """Add `world` with its commands to an argparse sub-parser collection."""
    world = _add(
        commands,
        "world",
        help="a local Azure: hub, edgeHub, edgeAgent and deployments on loopback",
        epilog=_EXAMPLES,
    )
    verbs = world.add_subparsers(required=True, metavar="COMMAND")
    _add_up(verbs)
    _add_quirk(verbs)
    _add_fault(verbs)
    _add_lines(verbs)
    _add_looks(verbs)
    _add_ends(verbs)
    route_check.add_command(verbs)


def _add_up(verbs: Any) -> None:
    parser = _add(verbs, "up", help="start a world and say how to work on it", epilog=_UP)
    add = parser.add_argument
    add("--devices", type=int, metavar="N", help="light devices, which speak to the hub alone")
    add(
        "--ring",
        action="append",
        default=[],
        metavar="RING=N",
        help="light devices with the tag ring=RING; the rest of --devices has ring=broad",
    )
    add(
        "--edge-device",
        action="append",
        default=[],
        metavar="NAME[:tag=value,...]",
        help="an IoT Edge device with edgeHub and edgeAgent; tags app=qc,ring=canary,hold=no "
        "unless given (default: station-1, when no other device is asked for)",
    )
    add("--images", type=Path, metavar="FILE", help="JSON: image name -> command")
    add("--runtime", choices=("process", "docker"), help="what modules run as (default: process)")
    add(
        "--deployment",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a deployment to create, or content alone as az takes it (then for every device)",
    )
    add("--state", type=Path, metavar="DIR", help="keep the world in DIR, or go on with it")
    add(
        "--speed", type=float, default=1.0, metavar="X", help="world seconds per second (default 1)"
    )
    add(
        "--evaluation-period",
        type=float,
        metavar="S",
        help="evaluate deployments every S world seconds, as Azure does in minutes "
        "(default: at each change)",
    )
    add("--network", metavar="127.A.B", help="loopback network (default: a free one)")
    add("--port", type=int, metavar="P", help="the hub's HTTPS port (default 8443)")
    add("--json", action="store_true", help="say how to work on it as one line of JSON")
    parser.set_defaults(run=_up)


def _add_quirk(verbs: Any) -> None:
    parser = _add(
        verbs,
        "quirk",
        help="let Azure do what it does on a bad day",
        epilog="examples:\n"
        "  taktgate world quirk duplicate --value 3\n"
        "  taktgate world quirk slow-twin --device station-1 --value 8\n"
        "  taktgate world quirk slow-twin --off\n"
        "  taktgate world quirk drop-connection --device station-1 --module inference\n",
    )
    add = parser.add_argument
    add("name", metavar="NAME", help="one of `taktgate world quirks`")
    add(
        "--device",
        metavar="D",
        help="a device, or a pattern with * (default: all that can have it)",
    )
    add("--module", metavar="M", help="whose connection (default: all that are connected)")
    add("--value", type=float, metavar="V", help="seconds or times; the table has the usual number")
    add("--off", action="store_true", help="turn it off")
    _add_world(parser)
    parser.set_defaults(run=_run("quirk"))
    table = _add(
        verbs,
        "quirks",
        help="the table of quirks, with what each copies",
        epilog="example: taktgate world quirks --json | jq -r '.[].name'",
    )
    table.add_argument("--json", action="store_true", help="print JSON")
    table.set_defaults(run=_run("quirks"))


def _add_fault(verbs: Any) -> None:
    parser = _add(
        verbs,
        "fault",
        help="let a model fail on light devices, as a bad one would in a plant",
        epilog="examples:\n"
        "  taktgate world fault rolled-back --version 1.2.0 --share 0.1\n"
        "  taktgate world fault silent --device 'light-000*'\n"
        "  taktgate world fault --off\n\n"
        "kinds: not-found (no such bundle), refused (golden images), rolled-back (rejects too\n"
        "many parts in its trial), silent (the stager never takes the order up)\n",
    )
    add = parser.add_argument
    add("kind", nargs="?", metavar="KIND", help="how the order fails")
    add("--version", metavar="V", help="the model version that it hits (default: any)")
    add("--share", type=float, default=1.0, metavar="X", help="share of the devices (default 1)")
    add("--device", metavar="D", help="a light device, or a pattern with * (default: all)")
    add("--off", action="store_true", help="take back the faults of KIND, or all")
    _add_world(parser)
    parser.set_defaults(run=_run("fault"))


def _add_lines(verbs: Any) -> None:
    for word, does in (("offline", "cut"), ("online", "mend")):
        parser = _add(
            verbs,
            word,
            help=f"{does} the line between a device and the hub",
            epilog=f"example: taktgate world {word} station-1",
        )
        parser.add_argument(
            "device", nargs="?", metavar="D", help="a device, or a pattern with * (default: all)"
        )
        _add_world(parser)
        parser.set_defaults(run=_run("line"), is_online=word == "online")


def _add_looks(verbs: Any) -> None:
    status = _add(
        verbs,
        "status",
        help="devices, modules, versions, queues and quirks",
        epilog="examples:\n  taktgate world status --watch\n"
        "  taktgate world status --json | jq '.devices[].queues'\n",
    )
    status.add_argument("--watch", action="store_true", help="look again each second")
    _add_world(status)
    status.set_defaults(run=_run("status"))
    telemetry = _add(
        verbs,
        "telemetry",
        help="what reached the hub (in the place of `az iot hub monitor-events`)",
        epilog="examples:\n  taktgate world telemetry --follow\n"
        "  taktgate world telemetry --json | jq 'select(.module == \"inference\")'\n",
    )
    telemetry.add_argument("--follow", action="store_true", help="go on until Ctrl-C")
    _add_world(telemetry)
    telemetry.set_defaults(run=_run("telemetry"))


def _add_ends(verbs: Any) -> None:
    evaluate = _add(
        verbs,
        "evaluate",
        help="evaluate all deployments now, whatever the period is",
        epilog="examples:\n  taktgate world evaluate\n  taktgate world evaluate --every 300\n",
    )
    evaluate.add_argument(
        "--every", type=float, metavar="S", help="and from now on every S world seconds"
    )
    evaluate.add_argument(
        "--at-each-change", action="store_true", help="and from now on at each change"
    )
    _add_world(evaluate)
    evaluate.set_defaults(run=_run("evaluate"))
    down = _add(
        verbs,
        "down",
        help="end a world and wait until it has ended",
        epilog="example: taktgate world down --world world",
    )
    _add_world(down)
    down.set_defaults(run=_run("down"))


def _add_world(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--world", type=Path, metavar="DIR", help="the world in DIR (default: started last)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")


def _add(commands: Any, name: str, *, help: str, epilog: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name,
        help=help,
        description=help[0].upper() + help[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    return parser


def _run(command: str) -> Run:
    """Return what runs *command*; imported only then, since `taktgate --help` needs none of it."""

    def run(arguments: argparse.Namespace) -> int:
        from taktgate.standin.azure.world.cli_commands import RUNS

        return RUNS[command](arguments)

    return run


def _up(arguments: argparse.Namespace) -> int:
    from taktgate.standin.azure.world.cli_up import RUN

    return RUN(arguments)
