"""What the commands of `taktgate world` to a running world do."""

import argparse
import json
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import psutil
from rich.console import Group
from rich.live import Live

from taktgate.contracts.codec import encode, parse
from taktgate.standin.azure.errors import NoWorldError, WorldControlError
from taktgate.standin.azure.quirks import QUIRKS
from taktgate.standin.azure.world import screen
from taktgate.standin.azure.world.control import LONGEST_WAIT_S
from taktgate.standin.azure.world.control_client import send
from taktgate.standin.azure.world.feed import FeedPage
from taktgate.standin.azure.world.running_worlds import RunningWorld, find_world
from taktgate.standin.azure.world.status import WorldStatus
from taktgate.standin.azure.world.terminal import (
    EXIT_DONE,
    Run,
    console,
    guarded,
    say,
    until_interrupted,
)

_LOOK_S: Final = 1.0
_DOWN_TIMEOUT_S: Final = 60.0
_DOWN_LOOK_S: Final = 0.1


def _status(arguments: argparse.Namespace) -> int:
    world = find_world(arguments.world)
    if arguments.watch:
        return _watch(world, arguments.json)
    if arguments.json:
        say(json.dumps(send(world, "status")))
    else:
        console().print(_status_view(world))
    return EXIT_DONE


def _watch(world: RunningWorld, is_json: bool) -> int:
    while is_json:
        say(json.dumps(send(world, "status")))
        time.sleep(_LOOK_S)
    with Live(_status_view(world), console=console(), auto_refresh=False) as live:
        while True:
            time.sleep(_LOOK_S)
            live.update(_status_view(world), refresh=True)


def _status_view(world: RunningWorld) -> Group:
    return screen.status_view(parse(WorldStatus, send(world, "status")))


def _telemetry(arguments: argparse.Namespace) -> int:
    for page in _pages(find_world(arguments.world), follows=arguments.follow):
        if page.lost:
            sys.stderr.write(f"{page.lost} older messages are no longer kept\n")
        for message in page.messages:
            text = encode(message).decode() if arguments.json else screen.feed_line(message)
            say(text)
    return EXIT_DONE


def _pages(world: RunningWorld, *, follows: bool) -> Iterator[FeedPage]:
    after = 0
    while True:
        order = {"after": after, "wait_s": LONGEST_WAIT_S if follows else 0.0}
        page = parse(FeedPage, send(world, "telemetry", order))
        yield page
        if not follows and not page.messages:
            return
        after = page.last


def _quirk(arguments: argparse.Namespace) -> int:
    names = ("name", "device", "module", "value", "off")
    order = {name: getattr(arguments, name) for name in names}
    return _order(arguments, "quirk", order)


def _fault(arguments: argparse.Namespace) -> int:
    names = ("kind", "version", "share", "device", "off")
    order = {name: getattr(arguments, name) for name in names}
    faults = send(find_world(arguments.world), "fault", order)
    if arguments.json:
        say(json.dumps(faults))
    else:
        say("\n".join(faults) or "no fault holds")
    return EXIT_DONE


def _line(arguments: argparse.Namespace) -> int:
    return _order(arguments, "line", {"device": arguments.device, "is_online": arguments.is_online})


def _order(arguments: argparse.Namespace, command: str, order: Mapping[str, Any]) -> int:
    effects = send(find_world(arguments.world), command, order)
    if arguments.json:
        say(json.dumps(effects))
    else:
        for line in screen.effect_lines(effects):
            say(line)
    return EXIT_DONE


def _quirks(arguments: argparse.Namespace) -> int:
    if arguments.json:
        say(encode(list(QUIRKS.values())).decode())
    else:
        console().print(screen.quirk_table(QUIRKS.values()))
    return EXIT_DONE


def _evaluate(arguments: argparse.Namespace) -> int:
    order = {"period_s": arguments.every, "at_each_change": arguments.at_each_change}
    done = send(find_world(arguments.world), "evaluate", order)
    if arguments.json:
        say(json.dumps(done))
    else:
        say(f"{done['deployments']} deployments evaluated for {done['devices']} devices")
    return EXIT_DONE


def _down(arguments: argparse.Namespace) -> int:
    world = find_world(arguments.world)
    send(world, "down")
    deadline = time.monotonic() + _DOWN_TIMEOUT_S
    while _is_there(world):
        if time.monotonic() >= deadline:
            raise WorldControlError(
                f"the world in {world.directory} (process {world.pid}) has not ended "
                f"within {_DOWN_TIMEOUT_S:g} s"
            )
        time.sleep(_DOWN_LOOK_S)
    say(json.dumps({"ended": world.directory}) if arguments.json else "world ended")
    return EXIT_DONE


def _is_there(world: RunningWorld) -> bool:
    try:
        find_world(Path(world.directory))
    except NoWorldError:
        return _is_running(world.pid)
    return True


def _is_running(pid: int) -> bool:
    """Tell whether the process still does something; one that nobody has waited for does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


RUNS: Final[Mapping[str, Run]] = MappingProxyType(
    {
        "status": guarded(until_interrupted(_status)),
        "telemetry": guarded(until_interrupted(_telemetry)),
        "quirk": guarded(_quirk),
        "quirks": guarded(_quirks),
        "fault": guarded(_fault),
        "line": guarded(_line),
        "evaluate": guarded(_evaluate),
        "down": guarded(_down),
    }
)
