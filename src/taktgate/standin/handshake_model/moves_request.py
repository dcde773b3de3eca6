"""Moves of a request at the controller: executed whole, in pieces, later, or not at all."""

from collections.abc import Iterable

from taktgate.standin.handshake_model import plc_program as plc
from taktgate.standin.handshake_model.facts import DONE, PIECES, Ghost, Plc, Request
from taktgate.standin.handshake_model.model import Model, Step, has_left, spend
from taktgate.standin.handshake_model.scenario import Fault
from taktgate.standin.handshake_model.world import World

NOT_A_GHOST = -1


def may_execute(model: Model, world: World) -> Iterable[int]:
    """The controller executes the request that it was sent."""
    exchange = world.exchange
    is_due = exchange is not None and exchange.request is not None and exchange.progress < DONE
    return (NOT_A_GHOST,) if is_due and not world.is_cut else ()


def execute(model: Model, world: World, _: int) -> Step:
    """Execute the request under way, or what is left of it."""
    exchange = world.exchange
    assert exchange is not None
    assert exchange.request is not None
    state = _execute(model, world.plc, exchange.request, exchange.progress)
    return Step(world._replace(plc=state, exchange=exchange._replace(progress=DONE)))


def may_misreport(model: Model, world: World) -> Iterable[int]:
    """The controller may confirm a write that it drops."""
    return may_execute(model, world) if has_left(world, Fault.UNDONE) else ()


def misreport(model: Model, world: World, _: int) -> Step:
    """Drop the request under way, and say that it is done."""
    exchange = world.exchange
    assert exchange is not None
    world = spend(world, Fault.UNDONE)
    return Step(world._replace(exchange=exchange._replace(progress=DONE)))


def may_tear(model: Model, world: World) -> Iterable[int]:
    """The copy of a result may be interrupted after any of its pieces."""
    exchange = world.exchange
    if exchange is None or exchange.request is None or not has_left(world, Fault.TORN):
        return ()
    is_new = exchange.progress == 0 and bool(exchange.request.results)
    return range(1, PIECES) if is_new and not world.is_cut else ()


def tear(model: Model, world: World, pieces: int) -> Step:
    """Copy the first *pieces* of the first result."""
    exchange = world.exchange
    assert exchange is not None
    assert exchange.request is not None
    state = plc.put(world.plc, exchange.request.results[0], model.presets, range(pieces))
    world = spend(world, Fault.TORN)
    return Step(world._replace(plc=state, exchange=exchange._replace(progress=pieces)))


def may_haunt(model: Model, world: World) -> Iterable[int]:
    """A request of a dead session may be executed at any time."""
    return range(len(world.ghosts))


def haunt(model: Model, world: World, number: int) -> Step:
    """Execute it, or what is left of it."""
    ghost = world.ghosts[number]
    left = (*world.ghosts[:number], *world.ghosts[number + 1 :])
    state = _execute(model, world.plc, ghost.request, ghost.progress)
    return Step(world._replace(plc=state, ghosts=left))


def given_up(world: World) -> tuple[World, ...]:
    """Return the worlds in which the request under way is dropped, or becomes a ghost."""
    exchange, left = world.exchange, world._replace(exchange=None)
    if exchange is None or exchange.request is None or exchange.progress == DONE:
        return (left,)
    if world.is_cut or not has_left(world, Fault.GHOST):
        return (left,)
    ghost = Ghost(request=exchange.request, progress=exchange.progress)
    return left, spend(left, Fault.GHOST)._replace(ghosts=(*world.ghosts, ghost))


def _execute(model: Model, state: Plc, request: Request, progress: int) -> Plc:
    for number, result in enumerate(request.results):
        pieces = range(progress if number == 0 else 0, PIECES)
        state = plc.put(state, result, model.presets, pieces)
    return plc.put_status(state, request.status)
