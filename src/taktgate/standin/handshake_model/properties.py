"""What has to hold, whatever happens: each property by its name, with what it is about."""

from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple

from taktgate.contracts.verdict import Verdict
from taktgate.plc.contract.tags import DECISIONS, slot_of
from taktgate.plc.handshake.admission import Cause
from taktgate.standin.handshake_model.envelopes import decided
from taktgate.standin.handshake_model.events import Crashed, Event, Opened, Reported, Used, WentOut
from taktgate.standin.handshake_model.facts import NEVER, WATCHDOG_STEPS, Flaw, PartOnLine
from taktgate.standin.handshake_model.model import Model, Moment, Step
from taktgate.standin.handshake_model.plc_program import Arrived, Gated, Scanned
from taktgate.standin.handshake_model.scenario import Haste
from taktgate.standin.handshake_model.world import World

_PASS: Final = DECISIONS[Verdict.PASS]
_BEAT_STEPS: Final = 3
_STALL_STEPS: Final = 5
_MOST_TIMES: Final = 2


class Property(NamedTuple):
    """A promise. `holds` gets only events of type `about`."""

    name: str
    words: str
    about: type[Any]
    holds: Callable[[Model, Moment[Any]], bool]


def _is_no_duplicate(model: Model, moment: Moment[Gated]) -> bool:
    by = moment.event.part.by
    if not moment.event.is_accepted or by is None:
        return True
    return not any(
        (start, number) == (by.start, by.number) and serial != moment.event.part.serial
        for start, number, serial in moment.before.books.actuated
    )


def _is_not_foreign(model: Model, moment: Moment[Gated]) -> bool:
    part: PartOnLine = moment.event.part
    if not moment.event.is_accepted:
        return True
    return part.by is not None and (part.by.serial, part.by.decision) == (part.serial, _PASS)


def _is_not_stale(model: Model, moment: Moment[Gated]) -> bool:
    part: PartOnLine = moment.event.part
    if not moment.event.is_accepted or part.by is None:
        return True
    return (part.serial, part.by.sequence) in moment.before.plc.got


def _does_reject_win(model: Model, moment: Moment[Gated]) -> bool:
    return not (moment.event.is_accepted and moment.event.part.saw_reject)


def _is_contradiction_written(model: Model, moment: Moment[WentOut]) -> bool:
    """Hold a request against what the writer knew when it made it up."""
    before, event = moment.before, moment.event
    passes = {result.serial for result in event.results if result.decision == _PASS}
    if passes & {*before.books.rejects, *before.books.contradicted}:
        return False
    rejects = {*before.books.rejects, *(r.serial for r in event.results if r.decision != _PASS)}
    passed = {serial for serial, *_ in before.books.passes}
    at_risk = {
        part.serial
        for part in before.plc.parts
        if part.age < model.presets.deadline
        and part.serial in before.books.contradicted
        and part.serial in passed
        and not _is_displaced(before, part)
    }
    return at_risk <= rejects


def _is_contradiction_heard(model: Model, moment: Moment[Used]) -> bool:
    """Once a contradiction is heard, no PASS stands that the PLC may still be told about."""
    used, after = moment.event, moment.after
    if used.cause is not Cause.CONFLICT or after.writer is None:
        return True
    at_risk = any(
        part.serial == used.serial and part.age < model.presets.deadline
        for part in moment.before.plc.parts
    )
    held = dict(after.writer.slots)[slot_of(used.sheet.trigger_id)]
    return not (at_risk and held.holds_pass)


def _is_displaced(world: World, part: PartOnLine) -> bool:
    """Tell whether a newer part has taken the slot: with eight slots the line is too fast then."""
    return any(
        told.serial > part.serial and slot_of(told.trigger_id) == slot_of(part.trigger_id)
        for told in world.told
    )


def _is_silence_rejected(model: Model, moment: Moment[Gated]) -> bool:
    return not moment.event.is_accepted or moment.event.silent <= WATCHDOG_STEPS


def _is_comm_ok_earned(model: Model, moment: Moment[Scanned]) -> bool:
    return not moment.event.comm_ok or moment.after.plc.silent <= WATCHDOG_STEPS


def _is_honest(model: Model, moment: Moment[Reported]) -> bool:
    outcome = moment.event.outcome
    if outcome.verdict is not Verdict.PASS or not outcome.written:
        return True
    return (moment.event.serial, outcome.result_sequence) in moment.after.plc.got


def _is_reject_true(model: Model, moment: Moment[Reported]) -> bool:
    """Hold a reject that goes on record against what the gate has done."""
    outcome, serial = moment.event.outcome, moment.event.serial
    if outcome.verdict is Verdict.PASS or not outcome.written:
        return True
    return all(serial != passed for *_, passed in moment.before.books.actuated)


def _is_record_true(model: Model, moment: Moment[Gated]) -> bool:
    """Hold what the gate does against what is on record."""
    is_on_record = moment.event.part.serial in moment.before.books.on_record
    return not (moment.event.is_accepted and is_on_record)


def _is_same_again(model: Model, moment: Moment[WentOut]) -> bool:
    sent = moment.after.books.passes
    serials = [serial for serial, *_ in sent]
    return len(serials) == len(set(serials)) and all(times <= _MOST_TIMES for *_, times in sent)


def _is_bound(model: Model, moment: Moment[Used]) -> bool:
    """A verdict that had an effect is in order, of here and now, and about that very part."""
    used: Used = moment.event
    if used.cause is not None and used.cause is not Cause.CONFLICT:
        return True
    sheet, world = used.sheet, moment.before
    return (
        sheet.boot == world.boot
        and sheet.serial == used.serial
        # A decision of the future is in order as soon as it is none any more.
        and sheet.flaw in (Flaw.NONE, Flaw.FUTURE)
        and decided(sheet) <= world.now
    )


def _is_pass_of_this_epoch(model: Model, moment: Moment[WentOut]) -> bool:
    writer = moment.after.writer
    assert writer is not None
    sent = {result.sequence for result in moment.event.results if result.decision == _PASS}
    parts = [part for _, part in writer.slots if part.sequence in sent]
    return all(writer.epoch in (part.epoch, part.continued_in) for part in parts)


def _is_pass_in_time(model: Model, moment: Moment[WentOut]) -> bool:
    """By the earlier end of the interval, and with the reserve for the exchange."""
    latest = moment.before.now + model.scenario.reserve_steps
    deadlines = {told.serial: told.deadline for told in moment.before.told}
    return all(
        latest <= deadlines.get(result.serial, 0)
        for result in moment.event.results
        if result.decision == _PASS
    )


def _never(model: Model, moment: Moment[Crashed]) -> bool:
    return False


def _are_only_seen_open(model: Model, moment: Moment[Opened]) -> bool:
    seen = {(told.epoch, told.trigger_id) for told in moment.after.told}
    return seen.issuperset(moment.event.parts)


def _is_start_clean(model: Model, moment: Moment[Scanned]) -> bool:
    if not moment.event.is_first:
        return True
    return not any(slot.is_valid for slot in moment.after.plc.slots)


def _is_arrival_clean(model: Model, moment: Moment[Arrived]) -> bool:
    return not moment.after.plc.slots[slot_of(moment.event.part.trigger_id)].is_valid


def _is_ready_true(model: Model, moment: Moment[WentOut]) -> bool:
    if not moment.event.is_ready:
        return True
    world, moved = moment.before, moment.before.books.moved
    has_moved = moved != NEVER and world.now - moved <= _STALL_STEPS + 1
    is_alive = world.judge.silent <= _BEAT_STEPS and world.plc.stood <= _STALL_STEPS + 1
    return has_moved and is_alive


def _is_answered(model: Model, moment: Moment[Gated]) -> bool:
    """Where all sides are prompt, a part passes exactly when every verdict on it is PASS."""
    if model.scenario.haste is not Haste.ALL:
        return True
    part: PartOnLine = moment.event.part
    told = [one for one in moment.before.told if one.serial == part.serial]
    if len(told) != 1 or part.acked == 0:
        return False
    deserves = told[0].judged > 0 and told[0].has_passed
    if model.scenario.is_silent:
        return deserves or not moment.event.is_accepted
    return bool(moment.event.is_accepted == deserves)


PROPERTIES: Final = (
    Property("NO_DUPLICATE", "one verdict opens the gate for one part", Gated, _is_no_duplicate),
    Property(
        "NO_FOREIGN",
        "an accepted part was passed by a verdict for that very part",
        Gated,
        _is_not_foreign,
    ),
    Property(
        "NO_STALE",
        "an accepted part was passed by a result that came before its deadline timer was done",
        Gated,
        _is_not_stale,
    ),
    Property(
        "REJECT_WINS",
        "a part for which the program met a reject in time is not accepted",
        Gated,
        _does_reject_win,
    ),
    Property(
        "CONFLICT_REJECTS",
        "a contradiction that the writer knows goes out as a reject while the PLC may wait for it,"
        " and no PASS follows a reject",
        WentOut,
        _is_contradiction_written,
    ),
    Property(
        "CONFLICT_HEARD",
        "a contradiction takes the PASS back at once, while the PLC may wait for its deadline",
        Used,
        _is_contradiction_heard,
    ),
    Property(
        "SILENCE_REJECTS",
        "no part is accepted when the vision heartbeat stood still for the watchdog time",
        Gated,
        _is_silence_rejected,
    ),
    Property(
        "SILENCE_FAULTS",
        "CommOk falls within the watchdog time of silence, and waits for a change after a start",
        Scanned,
        _is_comm_ok_earned,
    ),
    Property(
        "WRITER_HONEST",
        "an outcome says PASS and written only if the PLC had that result in time",
        Reported,
        _is_honest,
    ),
    Property(
        "REJECT_TRUE",
        "an outcome says that a reject was written only if the part was not let through",
        Reported,
        _is_reject_true,
    ),
    Property(
        "RECORD_TRUE",
        "no part is let through whose outcome says that a reject was written",
        Gated,
        _is_record_true,
    ),
    Property(
        "SAME_AGAIN",
        "a PASS is sent twice at most, and then as the same result",
        WentOut,
        _is_same_again,
    ),
    Property(
        "BOUND",
        "a verdict has an effect on the very part that it is about, here and now, or on none",
        Used,
        _is_bound,
    ),
    Property(
        "IN_TIME",
        "a PASS goes out only while it can be acknowledged before the writer's own deadline",
        WentOut,
        _is_pass_in_time,
    ),
    Property("NO_CRASH", "the rules meet no state that they hold impossible", Crashed, _never),
    Property(
        "EPOCH",
        "a PASS goes out in its own epoch, or in one that was proven to continue it",
        WentOut,
        _is_pass_of_this_epoch,
    ),
    Property(
        "SEEN_ONLY",
        "only a part whose edge the writer read in this epoch waits for a verdict",
        Opened,
        _are_only_seen_open,
    ),
    Property("CLEAN_START", "after the first scan no slot is valid", Scanned, _is_start_clean),
    Property(
        "CLEAN_ARRIVAL", "a part finds no valid result in its slot", Arrived, _is_arrival_clean
    ),
    Property(
        "READY_TRUE",
        "Ready is said only while judge and PLC have given a sign of life",
        WentOut,
        _is_ready_true,
    ),
    Property(
        "ANSWERED",
        "when nothing fails, every part gets a result, and a good one is accepted",
        Gated,
        _is_answered,
    ),
)
PROPERTY_NAMES: Final = tuple(one.name for one in PROPERTIES)
_BY_EVENT: Final[dict[type[Any], tuple[Property, ...]]] = {
    about: tuple(one for one in PROPERTIES if one.about is about)
    for about in {one.about for one in PROPERTIES}
}


def broken(model: Model, step: Step, wanted: str | None = None) -> Iterator[tuple[Property, Event]]:
    """Yield the properties that *step* breaks; with *wanted* only the one of that name."""
    for moment in step.moments:
        for one in _BY_EVENT.get(type(moment.event), ()):
            if wanted in (None, one.name) and not one.holds(model, moment):
                yield one, moment.event
