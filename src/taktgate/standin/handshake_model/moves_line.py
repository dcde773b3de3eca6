"""Moves of the line and of the judge."""

from collections.abc import Iterable, Iterator

from taktgate.standin.handshake_model import plc_program as plc
from taktgate.standin.handshake_model.facts import LONG_SILENCE, Books, Flaw, Sheet
from taktgate.standin.handshake_model.model import (
    Model,
    Step,
    has_left,
    is_free,
    is_hurried,
    made,
    spend,
)
from taktgate.standin.handshake_model.moves_writer import turn
from taktgate.standin.handshake_model.scenario import Fault, Haste
from taktgate.standin.handshake_model.world import World, command_of, last_moment
from taktgate.standin.handshake_model.writer_rules import Writer

_FLAWS = tuple(Flaw)
REPLY_STEPS = 2
"""The reply deadline: an exchange that takes longer is given up."""


TURN, HELD_UP = "turn", "held up"


def may_step(model: Model, world: World) -> Iterator[str]:
    """Time goes on while something is on the line, or may come."""
    if _rests(model, world):
        return
    exchange = world.exchange
    if exchange is not None and world.now - exchange.began >= REPLY_STEPS:
        return
    if not _is_haste_made(model, world):
        return
    if not is_hurried(world):
        yield TURN
    if is_free(world) and has_left(world, Fault.HELD_UP):
        yield HELD_UP


def step(model: Model, world: World, how: str) -> Step:
    """Let time pass: the program runs, the judge beats, the writer has its turn or misses it."""
    if how == HELD_UP:
        world = spend(world, Fault.HELD_UP)
    passed = _pass_time(model, world)
    if how == TURN and is_free(passed.world):
        return passed.then(turn(model, passed.world))
    return passed


def _pass_time(model: Model, before: World) -> Step:
    state, events = plc.elapse(before.plc, model.presets)
    judge = before.judge
    silent = 0 if judge.is_alive else min(judge.silent + 1, LONG_SILENCE)
    now = before.now + 1
    world = before._replace(now=now, plc=state, judge=judge._replace(silent=silent))
    if judge.is_alive and world.writer is not None:
        answer = model.rules.beat(world.writer, world.boot, sent=now, sent_boot=world.boot, now=now)
        world = world._replace(writer=answer.writer)
    return _gated(before, world, events)


def may_scan(model: Model, world: World) -> Iterable[None]:
    """The program runs more than once per step; that matters when something was written."""
    return (None,) if world.plc.is_running and world.plc.is_touched else ()


def scan(model: Model, world: World, _: None) -> Step:
    """Run the program."""
    state, events = plc.scan(world.plc, model.presets)
    return _gated(world, world._replace(plc=state), events)


def may_come(model: Model, world: World) -> Iterable[int]:
    """A part comes while the program runs."""
    state = world.plc
    if not state.is_running or state.is_first_scan or state.came >= model.scenario.parts:
        return ()
    if model.scenario.haste is Haste.ALL and not _is_haste_made(model, world):
        return ()
    return model.scenario.jumps[min(state.came, len(model.scenario.jumps) - 1)]


def part_comes(model: Model, world: World, jump: int) -> Step:
    """Run the program, with a part at its end."""
    state, events = plc.scan(world.plc, model.presets, jump=jump)
    return _gated(world, world._replace(plc=state), events)


def may_judge(model: Model, world: World) -> Iterator[tuple[int, bool, Flaw]]:
    """The judge decides a part that it was told of, once, or again where the scenario says so."""
    if not world.judge.is_alive:
        return
    for number, told in enumerate(world.told):
        if told.judged and not has_left(world, Fault.TWICE):
            continue
        if world.now > last_moment(told):
            continue
        for is_pass in model.scenario.verdicts:
            yield number, is_pass, Flaw.NONE
        if has_left(world, Fault.FLAW):
            yield from ((number, flaw is not Flaw.EARLY, flaw) for flaw in _FLAWS[1:])


def judge(model: Model, world: World, choice: tuple[int, bool, Flaw]) -> Step:
    """Put a verdict onto both lanes."""
    number, is_pass, flaw = choice
    told = world.told[number]
    if told.judged:
        world = spend(world, Fault.TWICE)
    if flaw != Flaw.NONE:
        world = spend(world, Fault.FLAW)
    start = world.judge._replace(numbered=world.judge.numbered + 1)
    sheet = Sheet(
        boot=world.boot,
        start=start.start,
        number=start.numbered,
        epoch=told.epoch,
        trigger_id=told.trigger_id,
        serial=told.serial,
        is_pass=is_pass,
        triggered=told.observed,
        decided=world.now,
        deadline=told.deadline,
        flaw=int(flaw),
    )
    has_passed = told.has_passed and is_pass
    told = told._replace(judged=told.judged + 1, has_passed=has_passed)
    return Step(
        world._replace(
            judge=start,
            told=(*world.told[:number], told, *world.told[number + 1 :]),
            sheets=(*world.sheets, sheet),
            local=(*world.local, sheet),
        )
    )


def _gated(before: World, world: World, events: list[plc.Event]) -> Step:
    """Enter into the books which verdicts opened the gate, and who has left the line."""
    world = world._replace(books=_closed(world.books, events))
    opened = tuple(
        (event.part.by.start, event.part.by.number, event.part.serial)
        for event in events
        if isinstance(event, plc.Gated) and event.is_accepted and event.part.by is not None
    )
    if opened:
        books = world.books._replace(actuated=(*world.books.actuated, *opened))
        world = world._replace(books=books)
    return made(before, world, events)


def _closed(books: Books, events: list[plc.Event]) -> Books:
    """Forget what was noted of parts that have left the line."""
    gone = {event.part.serial for event in events if isinstance(event, plc.Gated)}
    if not gone:
        return books
    return books._replace(
        delivered=tuple(entry for entry in books.delivered if entry[0] not in gone),
        contradicted=tuple(serial for serial in books.contradicted if serial not in gone),
        passes=tuple(entry for entry in books.passes if entry[0] not in gone),
        rejects=tuple(serial for serial in books.rejects if serial not in gone),
        on_record=tuple(serial for serial in books.on_record if serial not in gone),
    )


def _rests(model: Model, world: World) -> bool:
    """Tell whether the line has been empty for as long as the run lasts."""
    has_more = world.plc.came < model.scenario.parts
    return world.plc.idle >= (model.scenario.idle_steps if has_more else 1)


def _on_line(world: World) -> list[Sheet]:
    serials = {part.serial for part in world.plc.parts}
    return [sheet for sheet in world.sheets if sheet.serial in serials]


def _is_haste_made(model: Model, world: World) -> bool:
    """Tell whether all have done what they can at this time, as far as the scenario wants it."""
    haste, writer = model.scenario.haste, world.writer
    if haste is Haste.NONE:
        return True
    if writer is None or not world.is_open or world.is_cut:
        return False
    is_judged = model.scenario.is_silent or all(told.judged for told in world.told)
    if world.judge.is_alive and not is_judged:
        return False
    return haste is Haste.SIDES or _is_all_said(model, world, writer)


def _is_all_said(model: Model, world: World, writer: Writer) -> bool:
    """Tell whether the writer has read and written all there is, and has every verdict."""
    delivered = {(start, number) for _, start, number in world.books.delivered}
    return (
        world.exchange is None
        and not world.plc.is_touched
        and writer.command == command_of(world.plc, model.presets)
        and not model.rules.due(writer, world.boot, world.now).is_due
        and all((sheet.start, sheet.number) in delivered for sheet in _on_line(world))
    )
