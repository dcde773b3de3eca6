"""Moves of the writer, and of its requests on their way to the controller and back."""

from collections.abc import Iterable

from taktgate.contracts.verdict import Verdict
from taktgate.plc.contract.tags import DECISIONS, slot_of
from taktgate.plc.handshake.parts import PartState
from taktgate.plc.link.port import ResultRecord
from taktgate.standin.handshake_model import plc_program as plc
from taktgate.standin.handshake_model.events import Event, Opened, Used, WentOut
from taktgate.standin.handshake_model.facts import (
    DONE,
    NOBODY,
    PIECES,
    Books,
    Exchange,
    Flaw,
    Ghost,
    Plc,
    Request,
    Result,
    Sheet,
    Status,
    Told,
)
from taktgate.standin.handshake_model.model import (
    Model,
    Step,
    has_left,
    is_free,
    made,
    reports,
    serial_of,
    spend,
)
from taktgate.standin.handshake_model.scenario import Fault
from taktgate.standin.handshake_model.world import World, command_of
from taktgate.standin.handshake_model.writer_rules import Answer, Writer

_HERE: tuple[None, ...] = (None,)
_PASS = DECISIONS[Verdict.PASS]


def may_start(model: Model, world: World) -> Iterable[None]:
    """A supervisor starts the writer again."""
    return _HERE if world.writer is None else ()


def start(model: Model, world: World, _: None) -> Step:
    """Start the writer: a new BootId, and epochs of its own.

    After a reboot the epochs begin with the number they began with: chosen at random they may, and
    then it is the kernel boot id that has to tell them apart.
    """
    starts = world.starts + 1
    is_first_of_boot = not world.told and world.boot > 1
    epoch = 0 if is_first_of_boot else 100 * starts
    books = Books(actuated=world.books.actuated)
    writer = Writer(boot_id=starts, epoch=epoch)
    return Step(world._replace(writer=writer, starts=starts, books=books))


def may_open(model: Model, world: World) -> Iterable[None]:
    """A session can be had whenever there is none."""
    return _HERE if world.writer is not None and not world.is_open else ()


def open_session(model: Model, world: World, _: None) -> Step:
    """Open a session."""
    assert world.writer is not None
    answer = model.rules.session_opened(world.writer, world.boot)
    books = world.books._replace(opened_at=world.plc.heartbeat)
    return _after(world._replace(is_open=True, is_cut=False, books=books), answer)


def may_read(model: Model, world: World) -> Iterable[None]:
    """Beside its turn in each step, the writer may read once more: that matters when it is news."""
    writer = world.writer
    if writer is None or not is_free(world):
        return ()
    is_news = writer.read_began < world.now or writer.command != command_of(
        world.plc, model.presets
    )
    return _HERE if is_news else ()


def turn(model: Model, world: World) -> Step:
    """Read, and write what is due (see `Session.tick`)."""
    step = read(model, world, None)
    if not may_write(model, step.world):
        return step
    written = write(model, step.world, None)
    return step if written is None else step.then(written)


def read(model: Model, world: World, _: None) -> Step:
    """Read the command, in no time."""
    return _take_in(model, world, _question(model, world))


def may_ask(model: Model, world: World) -> Iterable[None]:
    """A read may also take its time."""
    return _HERE if is_free(world) and has_left(world, Fault.SLOW) else ()


def ask(model: Model, world: World, _: None) -> Step:
    """Have the controller answer a read; the answer is on its way."""
    return Step(spend(world, Fault.SLOW)._replace(exchange=_question(model, world)))


def may_deliver(model: Model, world: World) -> Iterable[int]:
    """Every verdict there ever was may come, as often as it likes, by a lane that is on."""
    if world.writer is None or world.exchange is not None:
        return ()
    if model.scenario.has_hub_lane:
        return range(len(world.sheets))
    held = world.local if model.scenario.has_local_lane else ()
    return [number for number, sheet in enumerate(world.sheets) if sheet in held]


def deliver(model: Model, world: World, number: int) -> Step:
    """Hand a verdict to the rules."""
    writer, sheet = world.writer, world.sheets[number]
    assert writer is not None
    held = dict(writer.slots).get(slot_of(sheet.trigger_id))
    answer = model.rules.verdict(writer, world.boot, sheet, world.now)
    serial = NOBODY if held is None else serial_of(world, held.epoch, held.trigger_id)
    used = Used(sheet=sheet, cause=answer.cause, serial=serial)
    if sheet.flaw == Flaw.NONE and sheet.boot == world.boot:
        world = world._replace(books=_heard(world.books, sheet))
    return _after(world, answer, used)


def may_write(model: Model, world: World) -> Iterable[None]:
    """The writer writes while the tags are its own."""
    writer = world.writer
    return _HERE if writer is not None and is_free(world) and writer.may_write else ()


def write(model: Model, world: World, _: None) -> Step | None:
    """Write what is due, have it executed and confirmed, in no time."""
    sent = send_now(model, world)
    if sent is None:
        return None
    executed = sent.then(execute(model, sent.world, NOT_A_GHOST))
    return executed.then(reply(model, executed.world, None))


def may_send(model: Model, world: World) -> Iterable[None]:
    """A write may also take its time."""
    return may_write(model, world) if has_left(world, Fault.SLOW) else ()


def send(model: Model, world: World, _: None) -> Step | None:
    """Send what is due; the controller has not seen it yet."""
    return send_now(model, spend(world, Fault.SLOW))


def send_now(model: Model, world: World) -> Step | None:
    """Return the world with what is due on its way; None when nothing is due."""
    assert world.writer is not None
    answer = model.rules.due(world.writer, world.boot, world.now)
    status = answer.status
    if status is None or not answer.is_due:
        return None
    results = tuple(_result(world, answer.writer, record) for record in answer.records)
    request = Request(
        results=results,
        status=Status(
            heartbeat=status.heartbeat,
            boot_id=status.boot_id,
            last_seq=status.last_seq,
            is_ready=status.ready,
        ),
    )
    exchange = Exchange(began=world.now, request=request, records=answer.records)
    books = _sent(world.books, results)
    after = world._replace(writer=answer.writer, exchange=exchange, books=books)
    sent = WentOut(results=results, is_ready=status.ready)
    return made(world, after, (sent, *reports(world, answer.outcomes)))


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


def may_reply(model: Model, world: World) -> Iterable[None]:
    """The reply comes when the request was executed."""
    exchange = world.exchange
    if exchange is None or world.is_cut:
        return ()
    return _HERE if exchange.request is None or exchange.progress == DONE else ()


def reply(model: Model, world: World, _: None) -> Step:
    """Hand the reply to the rules."""
    exchange, writer = world.exchange, world.writer
    assert exchange is not None
    assert writer is not None
    world = world._replace(exchange=None)
    if exchange.request is None:
        return _take_in(model, world, exchange)
    return _after(world, model.rules.confirmed(writer, world.boot, exchange.records, world.now))


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


def _question(model: Model, world: World) -> Exchange:
    """Return a read whose answer has been given just now."""
    return Exchange(
        began=world.now,
        command=command_of(world.plc, model.presets),
        serial=world.plc.newest_serial,
        status=world.plc.status,
    )


def _take_in(model: Model, world: World, exchange: Exchange) -> Step:
    writer, command = world.writer, exchange.command
    assert writer is not None
    assert command is not None
    after = exchange.began if writer.read_began < 0 else writer.read_began
    answer = model.rules.read(
        writer,
        world.boot,
        command=command,
        echo=exchange.status,
        began=exchange.began,
        now=world.now,
    )
    if answer.is_foreign:
        return Step(world._replace(writer=None, is_open=False, is_cut=False))
    if answer.is_edge:
        edge = Told(
            epoch=answer.writer.epoch,
            trigger_id=command.trigger_id,
            serial=exchange.serial,
            observed_after=after,
            observed=world.now,
            deadline=after + model.presets.deadline,
        )
        world = world._replace(told=(*world.told, edge))
    waiting = answer.writer.parts(PartState.OPEN)
    opened = Opened(parts=tuple((part.epoch, part.trigger_id) for part in waiting))
    return _after(world, answer, opened)


def _after(world: World, answer: Answer, *events: Event) -> Step:
    after = world._replace(writer=answer.writer)
    return made(world, after, (*events, *reports(world, answer.outcomes)))


def _result(world: World, writer: Writer, record: ResultRecord) -> Result:
    """Return *record* with what the model knows of it: whose picture, or whom it means."""
    (part,) = (part for _, part in writer.slots if part.sequence == record.sequence)
    decision = part.decision
    serial, start, number = serial_of(world, part.epoch, part.trigger_id), 0, 0
    if decision is not None and decision.envelope is not None and record.decision == _PASS:
        sheet = _sheet_of(world, decision.envelope.digest)
        serial, start, number = sheet.serial, sheet.start, sheet.number
    return Result(
        sequence=record.sequence,
        trigger_id=record.trigger_id,
        decision=record.decision,
        error_code=record.error_code,
        serial=serial,
        start=start,
        number=number,
    )


def _sheet_of(world: World, digest: str) -> Sheet:
    (sheet,) = (
        sheet for sheet in world.sheets if f"{sheet.boot}.{sheet.start}.{sheet.number}" == digest
    )
    return sheet


def _heard(books: Books, sheet: Sheet) -> Books:
    """Note that the writer has heard *sheet*; with another for its part that is a contradiction."""
    heard = (sheet.serial, sheet.start, sheet.number)
    if heard in books.delivered:
        return books
    has_rival = any(serial == sheet.serial for serial, _, _ in books.delivered)
    contradicted = {*books.contradicted, sheet.serial} if has_rival else books.contradicted
    return books._replace(
        delivered=tuple(sorted((*books.delivered, heard))),
        contradicted=tuple(sorted(contradicted)),
    )


def _sent(books: Books, results: tuple[Result, ...]) -> Books:
    passes = {result.serial for result in results if result.decision == _PASS}
    rejects = {result.serial for result in results if result.decision != _PASS}
    return books._replace(
        passes=tuple(sorted({*books.passes, *passes})),
        rejects=tuple(sorted({*books.rejects, *rejects})),
    )
