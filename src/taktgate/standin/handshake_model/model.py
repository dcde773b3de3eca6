"""A scenario with the rules that it is run by."""

from collections.abc import Iterable
from typing import Generic, NamedTuple, TypeVar

from taktgate.contracts.outcome import Outcome
from taktgate.contracts.verdict import Verdict
from taktgate.plc.handshake.parts import PartState
from taktgate.standin.handshake_model.events import Event, Reported
from taktgate.standin.handshake_model.facts import NOBODY
from taktgate.standin.handshake_model.scenario import Fault, Scenario
from taktgate.standin.handshake_model.world import World
from taktgate.standin.handshake_model.writer_rules import Writer, WriterRules

EventT = TypeVar("EventT")


class Moment(NamedTuple, Generic[EventT]):
    """One event, and the states around it."""

    before: World
    event: EventT
    after: World


class Step(NamedTuple):
    """Where a move leads, and what happens on the way."""

    world: World
    moments: tuple[Moment[Event], ...] = ()

    def then(self, following: "Step") -> "Step":
        """Return this step and *following* as one."""
        return Step(following.world, self.moments + following.moments)


def made(before: World, after: World, events: Iterable[Event] = ()) -> Step:
    """Return the step from *before* to *after*, with what it makes happen."""
    return Step(after, tuple(Moment(before, event, after) for event in events))


class Model:
    """One scenario, ready to be explored."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.presets = scenario.presets
        self.rules = WriterRules(reserve_steps=scenario.reserve_steps)

    def cold(self, now: int) -> World:
        """Return the state in which nobody has done anything yet, at step *now* of the clock."""
        writer = Writer(boot_id=1, epoch=0)
        return World(now=now, writer=writer, starts=1, budget=self.scenario.budget())


def is_hurried(world: World) -> bool:
    """Tell whether the writer has to write at once.

    It is one thread: what it has decided goes out before it does anything else, unless it is held
    up. The world goes on meanwhile when that exchange takes its time (`Fault.SLOW`).
    """
    writer = world.writer
    if writer is None or not writer.may_write or not is_free(world):
        return False
    return bool(writer.parts(PartState.DUE))


def is_free(world: World) -> bool:
    """Tell whether the writer has a session and waits for nothing."""
    return world.is_open and not world.is_cut and world.exchange is None


def has_left(world: World, fault: Fault) -> bool:
    """Tell whether *fault* may still happen."""
    return world.budget[fault] > 0


def spend(world: World, fault: Fault) -> World:
    """Return *world* with one *fault* less to come."""
    budget = list(world.budget)
    budget[fault] -= 1
    return world._replace(budget=tuple(budget))


def serial_of(world: World, epoch: int, trigger_id: int) -> int:
    """Return the part that the writer means by these numbers, NOBODY if it never saw it come."""
    for told in reversed(world.told):
        if (told.epoch, told.trigger_id) == (epoch, trigger_id):
            return told.serial
    return NOBODY


def recorded(world: World, outcomes: list[Outcome]) -> World:
    """Return *world* with what went on record in its books: of each part the last word counts."""
    on_record = set(world.books.on_record)
    for one in outcomes:
        serial = serial_of(world, one.plc_epoch, one.trigger_id)
        on_record.discard(serial)
        if one.written and one.verdict is not Verdict.PASS and serial != NOBODY:
            on_record.add(serial)
    books = world.books._replace(on_record=tuple(sorted(on_record)))
    return world if books == world.books else world._replace(books=books)


def reports(world: World, outcomes: list[Outcome]) -> tuple[Event, ...]:
    """Return what went on record, with the parts that are meant."""
    return tuple(
        Reported(outcome=one, serial=serial_of(world, one.plc_epoch, one.trigger_id))
        for one in outcomes
    )
