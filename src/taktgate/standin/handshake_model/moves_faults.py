"""Moves of the adversary: what dies, restarts, stops or is kept back."""

from collections.abc import Iterable

from taktgate.standin.handshake_model import plc_program as plc
from taktgate.standin.handshake_model.facts import LONG_SILENCE, Books, Judge
from taktgate.standin.handshake_model.model import (
    Model,
    Step,
    has_left,
    made,
    recorded,
    reports,
    spend,
)
from taktgate.standin.handshake_model.moves_request import given_up
from taktgate.standin.handshake_model.scenario import Fault
from taktgate.standin.handshake_model.world import World

_HERE: tuple[None, ...] = (None,)
CLOCK_AT_BOOT = World().now
_RESTARTS = {
    plc.Numbers.AGAIN: Fault.PLC_RESTARTS,
    plc.Numbers.ON: Fault.PLC_GOES_ON,
    plc.Numbers.ELSEWHERE: Fault.PLC_RENUMBERS,
}


def may_lose(model: Model, world: World) -> Iterable[int]:
    """A session is lost by a fault of the network, and surely when the controller forgot it."""
    if world.writer is None or not world.is_open:
        return ()
    if not world.is_cut and not has_left(world, Fault.LOSS):
        return ()
    return range(len(given_up(world)))


def lose(model: Model, world: World, which: int) -> Step:
    """Have the writer notice; its request is dropped (0) or lives on (1)."""
    writer = world.writer
    assert writer is not None
    if not world.is_cut:
        world = spend(world, Fault.LOSS)
    answer = model.rules.link_lost(writer, world.boot, world.now)
    world = recorded(given_up(world)[which], answer.outcomes)
    after = world._replace(writer=answer.writer, is_open=False, is_cut=False)
    return made(world, after, reports(world, answer.outcomes))


def may_stop_judge(model: Model, world: World) -> Iterable[None]:
    """The judge dies."""
    return _HERE if world.judge.is_alive and has_left(world, Fault.JUDGE_STOPS) else ()


def stop_judge(model: Model, world: World, _: None) -> Step:
    """Let it be silent."""
    judge = world.judge._replace(is_alive=False)
    return Step(spend(world, Fault.JUDGE_STOPS)._replace(judge=judge))


def may_start_judge(model: Model, world: World) -> Iterable[None]:
    """The judge is started again."""
    comes_after_boot = world.boot > 1 and not world.judge.is_alive
    return _HERE if comes_after_boot or has_left(world, Fault.JUDGE_RESTARTS) else ()


def start_judge(model: Model, world: World, _: None) -> Step:
    """Begin a new start, which numbers its verdicts from 1."""
    judge = Judge(start=world.judge.start + 1)
    if world.judge.is_alive or world.boot == 1:
        world = spend(world, Fault.JUDGE_RESTARTS)
    return Step(world._replace(judge=judge))


def may_kill_writer(model: Model, world: World) -> Iterable[int]:
    """The writer is killed."""
    if world.writer is None or not has_left(world, Fault.WRITER_RESTARTS):
        return ()
    return range(len(given_up(world)))


def kill_writer(model: Model, world: World, which: int) -> Step:
    """Drop all that it knew; its request is dropped (0) or lives on (1)."""
    world = given_up(spend(world, Fault.WRITER_RESTARTS))[which]
    return Step(world._replace(writer=None, is_open=False, is_cut=False))


def may_reboot(model: Model, world: World) -> Iterable[None]:
    """The host goes down and comes back."""
    return _HERE if has_left(world, Fault.REBOOT) else ()


def reboot(model: Model, world: World, _: None) -> Step:
    """Start the host again: its clock, its processes; what edgeHub keeps on disk stays."""
    return Step(
        spend(world, Fault.REBOOT)._replace(
            now=CLOCK_AT_BOOT,
            boot=world.boot + 1,
            writer=None,
            is_open=False,
            is_cut=False,
            exchange=None,
            judge=Judge(start=world.judge.start, is_alive=False, silent=LONG_SILENCE),
            told=(),
            local=(),
            books=Books(actuated=world.books.actuated),
        )
    )


def may_restart_plc(model: Model, world: World) -> Iterable[plc.Numbers]:
    """The PLC loses power, or gets a download."""
    return (numbers for numbers, fault in _RESTARTS.items() if has_left(world, fault))


def restart_plc(model: Model, world: World, numbers: plc.Numbers) -> Step:
    """Restart it. It forgets its sessions, and every request of theirs that it has not executed."""
    world = spend(world, _RESTARTS[numbers])
    state = plc.restart(world.plc, numbers)
    return Step(world._replace(plc=state, ghosts=(), is_cut=world.is_open))


def may_stop_program(model: Model, world: World) -> Iterable[None]:
    """Somebody turns the key."""
    return _HERE if world.plc.is_running and has_left(world, Fault.PROGRAM) else ()


def stop_program(model: Model, world: World, _: None) -> Step:
    """Stop the program; writes are still executed."""
    return Step(spend(world, Fault.PROGRAM)._replace(plc=plc.stop_program(world.plc)))


def may_run_program(model: Model, world: World) -> Iterable[None]:
    """Somebody turns it back."""
    return () if world.plc.is_running else _HERE


def run_program(model: Model, world: World, _: None) -> Step:
    """Have the program go on with a first scan."""
    return Step(world._replace(plc=plc.run_program(world.plc)))


def may_hold_beat(model: Model, world: World) -> Iterable[None]:
    """Have edgeHub keep a copy of the present beat."""
    is_free = world.judge.is_alive and world.held_beat is None
    return _HERE if is_free and has_left(world, Fault.HELD_BEAT) else ()


def hold_beat(model: Model, world: World, _: None) -> Step:
    """Keep it."""
    return Step(spend(world, Fault.HELD_BEAT)._replace(held_beat=(world.now, world.boot)))


def may_free_beat(model: Model, world: World) -> Iterable[None]:
    """A beat that was kept comes, any time later."""
    return _HERE if world.held_beat is not None and world.writer is not None else ()


def free_beat(model: Model, world: World, _: None) -> Step:
    """Hand it over."""
    assert world.held_beat is not None
    assert world.writer is not None
    sent, boot = world.held_beat
    answer = model.rules.beat(world.writer, world.boot, sent=sent, sent_boot=boot, now=world.now)
    return Step(world._replace(writer=answer.writer, held_beat=None))
