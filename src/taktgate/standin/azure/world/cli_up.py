"""`taktgate world up`: from arguments to a world that runs."""

import argparse
import asyncio
import contextlib
import sys
from typing import Final

from rich.live import Live

from taktgate.contracts.codec import encode
from taktgate.standin.azure.errors import WorldSetupError
from taktgate.standin.azure.world import options, screen
from taktgate.standin.azure.world.setup import Runtime, Wishes
from taktgate.standin.azure.world.sheet import as_text
from taktgate.standin.azure.world.terminal import (
    EXIT_BAD_INPUT,
    EXIT_DONE,
    EXIT_INTERRUPTED,
    Run,
    console,
    guarded,
    say,
)
from taktgate.standin.azure.world.up import UpWorld, WorldOptions, run_until_ended

_LOOK_S: Final = 1.0


def up(arguments: argparse.Namespace) -> int:
    """Run a world as asked, until it is ended; return the exit code."""
    wanted = _options(arguments)
    try:
        asyncio.run(run_until_ended(wanted, lambda world: _accompany(world, arguments.json)))
    except (asyncio.CancelledError, KeyboardInterrupt):
        sys.stderr.write("taktgate world: interrupted while it started; nothing runs\n")
        return EXIT_INTERRUPTED
    if not arguments.json:
        kept = f"; kept in {wanted.directory}" if wanted.directory is not None else ""
        say(f"world ended{kept}")
    return EXIT_DONE


async def _accompany(world: UpWorld, is_json: bool) -> None:
    """Say how to work on *world*, then how it stands, until it ends."""
    if is_json:
        say(encode(world.sheet).decode())
        await world.control.ended.wait()
        return
    say(as_text(world.sheet))
    say("The world runs until Ctrl-C or `taktgate world down`.")
    screen_of_up = console()
    if not screen_of_up.is_terminal:
        await world.control.ended.wait()
        return
    with Live(console=screen_of_up, auto_refresh=False, transient=True) as live:
        while not world.control.ended.is_set():
            live.update(screen.headline(await world.control.status()), refresh=True)
            await _ended_within(world, _LOOK_S)


async def _ended_within(world: UpWorld, seconds: float) -> None:
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await world.control.ended.wait()


def _options(arguments: argparse.Namespace) -> WorldOptions:
    if not arguments.speed > 0:
        raise WorldSetupError(f"--speed {arguments.speed}; rule: above 0")
    period_s = arguments.evaluation_period
    if period_s is not None and not period_s > 0:
        raise WorldSetupError(f"--evaluation-period {period_s}; rule: above 0")
    return WorldOptions(
        wishes=_wishes(arguments),
        deployments=tuple(
            document for path in arguments.deployment for document in options.read_deployments(path)
        ),
        directory=arguments.state,
        speed=arguments.speed,
        evaluation_period_s=period_s,
    )


def _wishes(arguments: argparse.Namespace) -> Wishes:
    port = arguments.port
    if port is not None and not 1 <= port <= 65535:
        raise WorldSetupError(f"--port {port}; rule: within 1..65535")
    light = arguments.devices
    if light is None and arguments.ring:
        raise WorldSetupError("--ring; rule: together with --devices")
    return Wishes(
        network=None if arguments.network is None else options.parse_network(arguments.network),
        hub_port=port,
        devices=tuple(options.parse_device(text) for text in arguments.edge_device),
        images=None if arguments.images is None else options.read_images(arguments.images),
        runtime=None if arguments.runtime is None else Runtime(arguments.runtime),
        light_devices=None if light is None else options.parse_rings(light, arguments.ring),
    )


RUN: Final[Run] = guarded(up, refused=EXIT_BAD_INPUT)
