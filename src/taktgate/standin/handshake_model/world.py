"""One state of everything: the line, the writer, the judge, and what is under way between them."""

from collections.abc import Hashable
from struct import Struct
from typing import Final, NamedTuple

from taktgate.edge.clock import MILLISECOND
from taktgate.plc.contract.records import Command
from taktgate.plc.handshake.parts import Part, PartState
from taktgate.standin.handshake_model.facts import (
    NEVER,
    STEP_NS,
    Books,
    Exchange,
    Flaw,
    Ghost,
    Judge,
    Plc,
    Request,
    Sheet,
    Status,
    Told,
)
from taktgate.standin.handshake_model.plc_program import Presets
from taktgate.standin.handshake_model.writer_rules import Writer

OLD_STEPS: Final = 24
"""Longer than any limit of the rules but that of 10 s, which nothing here can reach."""
_ROW: Final = Struct("<9I")
_STATES: Final = {state: number for number, state in enumerate(PartState)}


class World(NamedTuple):
    """A state of the model."""

    now: int = 10
    """Of the host's clock, in steps; it starts again when the host does."""
    boot: int = 1
    plc: Plc = Plc()
    writer: Writer | None = None
    """None while its process is dead."""
    starts: int = 0
    """Of the writer."""
    is_open: bool = False
    """The writer believes that it has a session."""
    is_cut: bool = False
    """The controller has forgotten that session."""
    exchange: Exchange | None = None
    ghosts: tuple[Ghost, ...] = ()
    judge: Judge = Judge()
    told: tuple[Told, ...] = ()
    sheets: tuple[Sheet, ...] = ()
    local: tuple[Sheet, ...] = ()
    """Those of `sheets` that the local lane still holds; edgeHub's queue holds all."""
    held_beat: tuple[int, int] | None = None
    """(sent, boot) of a beat that edgeHub has kept back."""
    books: Books = Books()
    budget: tuple[int, ...] = ()
    """How often each fault may still happen, by `Fault`."""


def command_of(plc: Plc, presets: Presets) -> Command:
    """Return what `VIS01_Cmd` holds."""
    return Command(
        plc_heartbeat=plc.heartbeat,
        trigger_id=plc.trigger_id,
        ack_seq=plc.ack_seq,
        deadline_ms=presets.deadline * STEP_NS // MILLISECOND,
        enable=True,
        hb_fault=plc.hb_fault,
    )


class Names:
    """Gives equal things the same number, so that a state becomes a row of numbers, exactly."""

    def __init__(self) -> None:
        self._numbers: dict[Hashable, int] = {}

    def of(self, thing: Hashable) -> int:
        """Return the number of *thing*."""
        return self._numbers.setdefault(thing, len(self._numbers))

    def key(self, world: World) -> bytes:
        """Return what two states have in common exactly when no rule can tell them apart.

        Times are ages, the two heartbeats are counted from where they stand. A part that can no
        longer be changed has no time left, and ages above every limit are one.
        """
        return _ROW.pack(*map(self.of, _aspects(world, self)))


def _aspects(world: World, names: Names) -> tuple[Hashable, ...]:
    plc, base, now = world.plc, world.plc.status.heartbeat, world.now
    oldest = _oldest_trigger(world)
    has_seen = plc.seen_heartbeat != NEVER
    line = plc._replace(
        heartbeat=0,
        seen_heartbeat=plc.seen_heartbeat - base if has_seen else NEVER,
        status=_status_key(plc.status, base),
        slots=(),
    )
    ghosts = tuple((_request_key(ghost.request, base), ghost.progress) for ghost in world.ghosts)
    beat = world.held_beat and (_age(now, world.held_beat[0]), world.held_beat[1])
    return (
        (world.boot, world.starts, world.is_open, world.is_cut, len(world.local), beat),
        ("slots", plc.slots),
        line,
        _writer_key(world, names),
        (_exchange_key(world), ghosts),
        (world.judge, world.budget),
        tuple(_told_key(told, world) for told in world.told),
        tuple(_sheet_key(sheet, now, oldest) for sheet in world.sheets),
        world.books._replace(moved=_age_since(now, world.books.moved)),
    )


def _writer_key(world: World, names: Names) -> Hashable:
    writer, now_ns = world.writer, world.now * STEP_NS
    if writer is None:
        return None
    plc, base = world.plc, world.plc.status.heartbeat
    return (
        writer.boot_id,
        writer.epoch,
        tuple(names.of(_part_key(part, now_ns)) for _, part in writer.slots),
        _command_key(writer.command, plc),
        (writer.is_first_read, writer.is_reopened),
        writer.life.value,
        None if writer.plc_value is None else writer.plc_value - plc.heartbeat,
        None if writer.plc_value is None else _age_ns(now_ns, writer.plc_moved_ns),
        writer.last_sequence,
        writer.beat and (_age(world.now, writer.beat.sent_ns // STEP_NS)),
        writer.otherwise.value,
        writer.heartbeat - base,
        None if writer.beat_ns is None else min(now_ns - writer.beat_ns, 2 * STEP_NS),
        writer.written and (writer.written[0].value, writer.written[1]),
        writer.has_written,
        writer.found
        and (writer.found.boot_id, writer.found.heartbeat - base, now_ns - writer.since_ns),
        writer.may_write,
        _age_since(world.now, writer.read_began),
    )


def _part_key(part: Part, now_ns: int) -> Hashable:
    decision = part.decision
    name = (
        part.epoch,
        part.trigger_id,
        _STATES[part.state],
        (part.pass_went_out, part.was_found, part.was_lost, part.record is not None),
        part.retries,
        part.continued_in,
        decision
        and (
            decision.verdict.value,
            decision.envelope and (decision.envelope.judge_start_id, decision.envelope.sequence),
        ),
    )
    waits = part.state is PartState.WRITTEN and part.confirmed_ns is not None
    confirmed = (now_ns - (part.confirmed_ns or 0), part.is_certain) if waits else None
    if part.state is not PartState.OPEN and not part.can_be_revoked(now_ns):
        # Its sequence counts while its fate is unknown: AckSeq may tell.
        is_settled = part.state is PartState.SETTLED
        return name if is_settled else (*name, part.sequence, confirmed)
    return (
        *name,
        part.sequence,
        confirmed,
        now_ns - part.trigger_ns,
        now_ns - part.observed_ns,
        now_ns - part.deadline_ns,
    )


def _command_key(command: Command | None, plc: Plc) -> Hashable:
    return command and (
        command.plc_heartbeat - plc.heartbeat,
        command.trigger_id,
        command.ack_seq,
        command.hb_fault,
    )


def _exchange_key(world: World) -> Hashable:
    exchange = world.exchange
    if exchange is None:
        return None
    base = world.plc.status.heartbeat
    return (
        world.now - exchange.began,
        _command_key(exchange.command, world.plc),
        exchange.serial,
        _status_key(exchange.status, base),
        exchange.request and _request_key(exchange.request, base),
        exchange.progress,
    )


def _request_key(request: Request, base: int) -> Request:
    return request._replace(status=_status_key(request.status, base))


def _status_key(status: Status, base: int) -> Status:
    return status._replace(heartbeat=status.heartbeat - base)


def _told_key(told: Told, world: World) -> Told:
    """Once the judge can decide no more, only the names of the edge count."""
    is_over = world.now > last_moment(told) or not world.judge.is_alive
    if is_over:
        return told._replace(observed_after=0, observed=0, deadline=0)
    now = world.now
    return told._replace(
        observed_after=now - told.observed_after,
        observed=now - told.observed,
        deadline=now - told.deadline,
    )


def last_moment(told: Told) -> int:
    """Return the last step in which the judge may decide the part: one step late."""
    return told.deadline + 1


def _sheet_key(sheet: Sheet, now: int, oldest: int) -> Sheet:
    """What was decided before every part that may still change is merely old."""
    if sheet.decided <= now and now - sheet.decided > oldest and sheet.flaw == Flaw.NONE:
        return sheet._replace(triggered=0, decided=OLD_STEPS, deadline=0)
    return sheet._replace(
        triggered=now - sheet.triggered,
        decided=now - sheet.decided,
        deadline=now - sheet.deadline,
    )


def _oldest_trigger(world: World) -> int:
    """Return the greatest age that the trigger of a part may have that can still change."""
    writer, now_ns = world.writer, world.now * STEP_NS
    if writer is None:
        return 0
    triggers = [
        part.trigger_ns
        for _, part in writer.slots
        if part.state is PartState.OPEN or part.can_be_revoked(now_ns)
    ]
    if writer.read_began != NEVER:
        triggers.append(writer.read_began * STEP_NS)
    if world.exchange is not None:
        triggers.append(world.exchange.began * STEP_NS)
    return max(((now_ns - trigger_ns) // STEP_NS for trigger_ns in triggers), default=0)


def _age_ns(now_ns: int, then_ns: int) -> int:
    return min(now_ns - then_ns, OLD_STEPS * STEP_NS)


def _age_since(now: int, then: int) -> int:
    return NEVER if then == NEVER else _age(now, then)


def _age(now: int, then: int) -> int:
    return min(now - then, OLD_STEPS)
