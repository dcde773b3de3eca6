"""What of the model's freedom the real writer has: the model may stop it anywhere, we may not.

The writer is one thread. It waits for the world in three places only: between two turns, at its
inbox, and at the controller. From each of these some moves of the model are what happens next, and
the others cannot happen.
"""

from enum import StrEnum
from typing import Final, NamedTuple

from taktgate.plc.handshake.parts import PartState
from taktgate.standin.handshake_model.events import Event
from taktgate.standin.handshake_model.model import Model, is_free
from taktgate.standin.handshake_model.moves import Taken, take
from taktgate.standin.handshake_model.moves_writer import may_write, send_now
from taktgate.standin.handshake_model.world import World
from taktgate.standin.handshake_model.writer_rules import Writer

_WRITE_ROUNDS: Final = 2
"""See `plc/writer/session.py`: a result that was confirmed too late is overruled at once."""


class Stand(StrEnum):
    """Where the writer's thread waits, while no exchange of the model is under way."""

    WAITS = "between two turns"
    """Or for a reply, or there is no writer."""
    TAKES_IN = "at its inbox, with something to write"
    READS = "its read request has just left"
    WRITES = "its write request has just left"


class Position(NamedTuple):
    """A state of the model, and where the real writer stands in it."""

    world: World
    stand: Stand = Stand.WAITS
    rounds: int = _WRITE_ROUNDS
    """How often the writer may still write in this turn."""


class Cue(NamedTuple):
    """A move, and how everything has to be after it."""

    taken: Taken
    before: World
    after: Position
    writer: Writer | None
    """How the writer has to be: a request that has just left is made up already."""
    events: tuple[Event, ...]


_FORBIDDEN: Final = {
    Stand.WAITS: {"write", "send"},
    Stand.TAKES_IN: {"read", "ask", "open", "lose", "plc_restart"},
    Stand.READS: {"step", "deliver", "open", "write", "send"},
    Stand.WRITES: {"step", "deliver", "open", "read", "ask", "lose", "old_beat", "plc_restart"},
}
"""Moves of the model that the real writer cannot make where it stands, or not without a write."""


def follow(model: Model, position: Position, taken: Taken) -> Cue | None:
    """Return what *taken* leads to; None when the real writer cannot do that here.

    Raises:
        ValueError: the model cannot either.
    """
    before = position.world
    if taken.name in _FORBIDDEN[position.stand] or _is_unseen_stranger(before, taken):
        return None
    step = take(model, before, taken)
    if _writes_into_the_void(step.world, taken):
        return None
    stand, rounds = _stand_after(model, position, taken, step.world)
    after = Position(step.world, stand, rounds)
    events = tuple(moment.event for moment in step.moments)
    return Cue(taken, before, after, _made_up(model, after), events)


def _is_unseen_stranger(world: World, taken: Taken) -> bool:
    """Tell whether *taken* reads a foreign BootId that the writer does not ask for.

    It reads its status tag back once per 100 ms, the model with each command.
    """
    writer = world.writer
    if taken.name not in ("read", "ask") or writer is None or writer.read_began != world.now:
        return False
    return writer.may_write and world.plc.status.boot_id not in (0, writer.boot_id)


def _writes_into_the_void(world: World, taken: Taken) -> bool:
    """Tell whether a verdict makes the writer write on a session that is gone."""
    writer = world.writer
    if taken.name != "deliver" or writer is None or not world.is_cut:
        return False
    return writer.may_write and bool(writer.parts(PartState.DUE))


def _stand_after(model: Model, position: Position, taken: Taken, world: World) -> tuple[Stand, int]:
    name = taken.name
    if world.writer is None or not world.is_open:
        return Stand.WAITS, _WRITE_ROUNDS
    if world.exchange is not None:
        return Stand.WAITS, position.rounds
    if name == "open":
        return Stand.READS, _WRITE_ROUNDS
    if name == "deliver":
        is_due = is_free(world) and world.writer.may_write and world.writer.parts(PartState.DUE)
        return (Stand.TAKES_IN if is_due else Stand.WAITS), _WRITE_ROUNDS
    if name == "read" or (name == "reply" and _asked(position.world)):
        return _to_write(model, world, _WRITE_ROUNDS)
    if name in ("write", "reply"):
        return _to_write(model, world, position.rounds - 1)
    return position.stand, position.rounds


def _asked(world: World) -> bool:
    return world.exchange is not None and world.exchange.request is None


def _to_write(model: Model, world: World, rounds: int) -> tuple[Stand, int]:
    if rounds > 0 and may_write(model, world) and send_now(model, world) is not None:
        return Stand.WRITES, rounds
    return Stand.WAITS, _WRITE_ROUNDS


def _made_up(model: Model, position: Position) -> Writer | None:
    if position.stand is not Stand.WRITES:
        return position.world.writer
    sent = send_now(model, position.world)
    assert sent is not None
    return sent.world.writer
