"""Everything that can happen next: a table of moves, each with its choices and its effect."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final, NamedTuple

from taktgate.plc.errors import IllegalTransitionError
from taktgate.standin.handshake_model import moves_faults as faults
from taktgate.standin.handshake_model import moves_line as line
from taktgate.standin.handshake_model import moves_request as requests
from taktgate.standin.handshake_model import moves_writer as writing
from taktgate.standin.handshake_model.events import Crashed
from taktgate.standin.handshake_model.model import Model, Step, is_hurried, made
from taktgate.standin.handshake_model.world import World

Choices = Callable[[Model, World], Iterable[Any]]
Effect = Callable[[Model, World, Any], Step | None]


class Move(NamedTuple):
    """One kind of thing that happens.

    `choices` is its guard: the arguments with which it can happen here. `effect` may still answer
    None when nothing would change.
    """

    name: str
    choices: Choices
    effect: Effect
    words: str
    """With `{}` for the argument."""
    can_interrupt: bool = False
    """It may come between what the writer has decided and its write of that."""


MOVES: Final = (
    Move(
        "step",
        line.may_step,
        line.step,
        "100 ms pass, the PLC's program runs; the writer: {}",
        can_interrupt=True,
    ),
    Move("scan", line.may_scan, line.scan, "the PLC's program runs"),
    Move("part", line.may_come, line.part_comes, "a part comes, TriggerId rises by {}"),
    Move("judge", line.may_judge, line.judge, "the judge decides: {}"),
    Move("read", writing.may_read, writing.read, "the writer reads VIS01_Cmd"),
    Move(
        "deliver",
        writing.may_deliver,
        writing.deliver,
        "verdict {} reaches the writer",
        can_interrupt=True,
    ),
    Move(
        "write",
        writing.may_write,
        writing.write,
        "the writer writes, and gets its reply",
        can_interrupt=True,
    ),
    Move("open", writing.may_open, writing.open_session, "the writer opens a session"),
    Move("start", writing.may_start, writing.start, "the writer starts"),
    Move("ask", writing.may_ask, writing.ask, "the writer sends a read request"),
    Move(
        "send",
        writing.may_send,
        writing.send,
        "the writer sends a write request",
        can_interrupt=True,
    ),
    Move("execute", requests.may_execute, requests.execute, "the controller executes the write"),
    Move(
        "misreport",
        requests.may_misreport,
        requests.misreport,
        "the controller drops the write, and says that it is done",
    ),
    Move("tear", requests.may_tear, requests.tear, "the controller copies {} pieces of the result"),
    Move("reply", writing.may_reply, writing.reply, "the reply reaches the writer"),
    Move(
        "ghost", requests.may_haunt, requests.haunt, "a request of a dead session is executed ({})"
    ),
    Move("lose", faults.may_lose, faults.lose, "the session is lost", can_interrupt=True),
    Move("judge_stops", faults.may_stop_judge, faults.stop_judge, "the judge dies"),
    Move("judge_starts", faults.may_start_judge, faults.start_judge, "the judge starts again"),
    Move(
        "writer_dies",
        faults.may_kill_writer,
        faults.kill_writer,
        "the writer is killed",
        can_interrupt=True,
    ),
    Move("reboot", faults.may_reboot, faults.reboot, "the host reboots"),
    Move("plc_restart", faults.may_restart_plc, faults.restart_plc, "the PLC restarts, {}"),
    Move("program", faults.may_stop_program, faults.stop_program, "keyswitch to Program"),
    Move("run", faults.may_run_program, faults.run_program, "keyswitch to Run"),
    Move("hold_beat", faults.may_hold_beat, faults.hold_beat, "edgeHub holds a beat back"),
    Move("old_beat", faults.may_free_beat, faults.free_beat, "edgeHub delivers the beat"),
)
URGENT: Final = tuple(move for move in MOVES if move.can_interrupt)
MOVES_BY_NAME: Final = {move.name: move for move in MOVES}

WARM_UP: Final = (
    *(("open", None), ("read", None), ("write", None)),
    *(("step", line.TURN), ("step", line.TURN), ("step", line.TURN), ("scan", None)),
)


class Taken(NamedTuple):
    """A move with its argument: what a trace is made of."""

    name: str
    argument: Any = None


def successors(model: Model, world: World) -> Iterator[tuple[Taken, Step]]:
    """Yield everything that can happen next in *world*."""
    for move in URGENT if is_hurried(world) else MOVES:
        for argument in move.choices(model, world):
            step = _effect(move, model, world, argument)
            if step is not None:
                yield Taken(name=move.name, argument=argument), step


def begin(
    model: Model, lead: Iterable[tuple[str, Any]] = (), *, now: int = faults.CLOCK_AT_BOOT
) -> World:
    """Return the state that a search begins in: the line ready for its first part, then *lead*.

    *now* is where the host's clock stands; nothing but a reboot makes a difference of it.

    Raises:
        ValueError: a move of *lead* is not possible where it stands.
    """
    world = model.cold(now)
    for name, argument in WARM_UP:
        step = MOVES_BY_NAME[name].effect(model, world, argument)
        world = world if step is None else step.world
    scenario = model.scenario
    idle = max(scenario.idle_steps - scenario.early_steps, 0)
    world = world._replace(plc=world.plc._replace(idle=idle))
    for name, argument in lead:
        world = take(model, world, Taken(name, argument)).world
    return world


def _effect(move: Move, model: Model, world: World, argument: Any) -> Step | None:
    try:
        return move.effect(model, world, argument)
    except IllegalTransitionError as error:
        return made(world, world, (Crashed(words=str(error)),))


def take(model: Model, world: World, taken: Taken) -> Step:
    """Return what *taken* leads to.

    Raises:
        ValueError: it is not possible there.
    """
    move = MOVES_BY_NAME[taken.name]
    if taken.argument not in list(move.choices(model, world)):
        raise ValueError(f"{taken.name} {taken.argument} is not possible here")
    step = move.effect(model, world, taken.argument)
    if step is None:
        raise ValueError(f"{taken.name} {taken.argument} changes nothing here")
    return step
