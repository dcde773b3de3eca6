"""Moves of the writer, and of its requests on their way to the controller and back."""

from collections import Counter
from collections.abc import Iterable

from taktgate.contracts.verdict import Verdict
from taktgate.plc.contract.records import ResultRecord, SlotEcho
from taktgate.plc.contract.tags import DECISIONS, slot_of
from taktgate.plc.handshake.parts import PartState
from taktgate.standin.handshake_model import plc_program as plc
from taktgate.standin.handshake_model.events import Event, Opened, Used, WentOut
from taktgate.standin.handshake_model.facts import (
    DONE,
    NEVER,
    NOBODY,
    Books,
    Exchange,
    Flaw,
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
    recorded,
    reports,
    serial_of,
    spend,
)
from taktgate.standin.handshake_model.moves_request import NOT_A_GHOST, execute
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
    return _after(world._replace(is_open=True, is_cut=False), answer)


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
    after = recorded(after, answer.outcomes)
    sent = WentOut(results=results, is_ready=status.ready)
    return made(world, after, (sent, *reports(world, answer.outcomes)))


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
    answer = model.rules.confirmed(
        writer,
        world.boot,
        exchange.records,
        world.now,
        echoes=_echoes(world, exchange.records) if model.scenario.reads_back else None,
    )
    return _after(world, answer)


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
    known = writer.command
    if writer.is_reopened and command.hb_fault:
        world = world._replace(books=world.books._replace(moved=NEVER))
    elif known is not None and known.plc_heartbeat != command.plc_heartbeat:
        world = world._replace(books=world.books._replace(moved=world.now))
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
    after = recorded(world, answer.outcomes)._replace(writer=answer.writer)
    return made(world, after, (*events, *reports(world, answer.outcomes)))


def _echoes(world: World, records: tuple[ResultRecord, ...]) -> tuple[SlotEcho, ...]:
    """Return what stands in the slots of *records*."""
    views = (plc.members(world.plc.slots[slot_of(record.trigger_id)]) for record in records)
    return tuple(
        SlotEcho(
            sequence_begin=view.seq_begin,
            trigger_id=view.trigger_id,
            decision=view.decision,
            is_pass=view.passed,
            is_reject=view.reject,
            is_late=view.late,
            sequence_end=view.seq_end,
        )
        for view in views
    )


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
    passes = Counter({(serial, sequence): times for serial, sequence, times in books.passes})
    passes.update((one.serial, one.sequence) for one in results if one.decision == _PASS)
    rejects = {result.serial for result in results if result.decision != _PASS}
    return books._replace(
        passes=tuple(sorted((*of, times) for of, times in passes.items())),
        rejects=tuple(sorted({*books.rejects, *rejects})),
    )
