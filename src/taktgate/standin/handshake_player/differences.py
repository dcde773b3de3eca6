"""The model's state and the real one, held against each other in the terms of the contract."""

from collections.abc import Iterator
from dataclasses import fields
from typing import Any, Final

from taktgate.plc.handshake.parts import Decision, Part
from taktgate.standin.handshake_model.events import Reported, Used
from taktgate.standin.handshake_model.facts import STEP_NS, Told
from taktgate.standin.handshake_model.plc_program import Gated, members
from taktgate.standin.handshake_model.world import World
from taktgate.standin.handshake_model.writer_rules import Writer
from taktgate.standin.handshake_player.controller import Controller
from taktgate.standin.handshake_player.schedule import Cue, Stand
from taktgate.standin.handshake_player.stage import Stage
from taktgate.standin.handshake_player.writer_thread import WriterThread

_PART_FIELDS: Final = tuple(field.name for field in fields(Part) if field.name != "decision")


class Comparison:
    """Looks at a stage after each cue. What is told once (edges, outcomes, causes) is counted."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._thread: WriterThread | None = None
        self._edges = 0
        self._outcomes = 0
        self._refused: dict[Any, int] = {}
        self._expected_outcomes: list[tuple[Any, ...]] = []

    def differences(self, cue: Cue) -> list[str]:
        """Return where the stage differs from what *cue* says."""
        world, controller = cue.after.world, self._stage.controller
        found = [*_of_controller(world, controller), *_of_gate(cue, controller)]
        found += controller.findings
        controller.findings.clear()
        found += self._of_writer(cue)
        return found

    def is_over(self, cue: Cue) -> bool:
        """Tell whether the model goes on with a part that a first scan has taken from the program.

        It consumes the part's result, and AckSeq is another one from then on.
        """
        controller, plc = self._stage.controller, cue.after.world.plc
        return bool(controller.abandoned) and controller.command().ack_seq != plc.ack_seq

    def catch_up(self, cue: Cue) -> None:
        """Take note of everything up to *cue* without comparing it."""
        self.differences(cue)

    def _of_writer(self, cue: Cue) -> Iterator[str]:
        thread, expected = self._stage.writer, cue.writer
        if thread is not self._thread:
            self._thread, self._edges, self._outcomes, self._refused = thread, 0, 0, {}
            self._expected_outcomes = []
        if thread is None or expected is None:
            if (thread is None) is not (expected is None):
                yield f"writer: alive is {thread is not None}, model {expected is not None}"
            return
        yield from _of_rules(thread, expected, cue.after.world)
        yield from self._of_edges(thread, cue)
        yield from self._of_causes(thread, cue)
        yield from self._of_outcomes(thread, cue)

    def _of_edges(self, thread: WriterThread, cue: Cue) -> Iterator[str]:
        told, edges = cue.after.world.told, thread.edges()
        known = {_edge(one) for one in cue.before.told}
        expected = [_edge(one) for one in told if _edge(one) not in known]
        real = [
            (
                line.plc_epoch,
                line.trigger_id,
                line.observed_after_ns,
                line.observed_ns,
                line.observed_after_ns + line.deadline_ms * 1_000_000,
            )
            for line in edges[self._edges :]
        ]
        self._edges = len(edges)
        yield from _unequal("edges told to the judge", real, expected)

    def _of_causes(self, thread: WriterThread, cue: Cue) -> Iterator[str]:
        refused = dict(thread.writer._intake.refused)
        news = [
            str(key[0])
            for key, number in refused.items()
            for _ in range(number - self._refused.get(key, 0))
        ]
        self._refused = refused
        if cue.taken.name != "deliver":
            return
        expected = [str(e.cause) for e in cue.events if isinstance(e, Used) and e.cause]
        yield from _unequal("refused because", news, expected)

    def _of_outcomes(self, thread: WriterThread, cue: Cue) -> Iterator[str]:
        self._expected_outcomes += [
            (e.outcome.plc_epoch, e.outcome.trigger_id, e.outcome.verdict, e.outcome.reason,
             e.outcome.written)
            for e in cue.events
            if isinstance(e, Reported)
        ]  # fmt: skip
        is_at_rest = cue.after.stand is Stand.WAITS and cue.after.world.exchange is None
        if not is_at_rest:
            return
        outcomes = thread.outcomes()
        real = [
            (one.plc_epoch, one.trigger_id, one.verdict, one.reason, one.written)
            for one in outcomes[self._outcomes :]
        ]
        expected, self._expected_outcomes = self._expected_outcomes, []
        self._outcomes = len(outcomes)
        yield from _unequal("outcomes", sorted(real), sorted(expected))


def _of_controller(world: World, controller: Controller) -> Iterator[str]:
    plc, status, command = world.plc, controller.status(), controller.command()
    yield from _unequal("VIS01_Cmd.TriggerId", command.trigger_id, plc.trigger_id)
    yield from _unequal("VIS01_Cmd.AckSeq", command.ack_seq, plc.ack_seq)
    yield from _unequal("VIS01_Cmd.PlcHeartbeat", command.heartbeat, plc.heartbeat)
    yield from _unequal("VIS01_Cmd.HbFault", command.hb_fault, plc.hb_fault)
    yield from _unequal("VIS01_Sts.Heartbeat", status["Heartbeat"], plc.status.heartbeat)
    yield from _unequal("VIS01_Sts.BootId", status["BootId"], plc.status.boot_id)
    yield from _unequal("VIS01_Sts.LastSeq", status["LastSeq"], plc.status.last_seq)
    yield from _unequal("VIS01_Sts.Ready", status["Ready"], int(plc.status.is_ready))
    if status["BootId"]:
        yield from _unequal("VIS01_Sts.State is run", status["State"] == 2, plc.status.is_ready)
    for index, (real, slot) in enumerate(zip(controller.slots(), plc.slots, strict=True)):
        yield from _unequal(f"VIS01_Result[{index}]", real, members(slot))


def _of_gate(cue: Cue, controller: Controller) -> Iterator[str]:
    expected = [
        (event.part.trigger_id, event.is_accepted)
        for event in cue.events
        if isinstance(event, Gated)
    ]
    real = [(part.trigger_id, part.is_accepted) for part in controller.gated]
    controller.gated.clear()
    lost = controller.abandoned
    # They pass the gate at another time, and only as rejects.
    yield from (
        f"part {number} passed after a first scan"
        for number, is_in in real
        if is_in and number in lost
    )
    expected = [one for one in expected if one[0] not in lost]
    real = [one for one in real if one[0] not in lost]
    yield from _unequal("the gate (part, let through)", real, expected)


def _of_rules(thread: WriterThread, expected: Writer, world: World) -> Iterator[str]:
    session, rules = thread.session, thread.writer._rules
    yield from _unequal("session is open", session.is_open, world.is_open)
    yield from _unequal(
        "the tags are the writer's own", session._owner.may_write, expected.may_write
    )
    yield from _unequal("epoch", rules.epoch, expected.epoch)
    yield from _unequal("last sequence", rules.last_sequence, expected.last_sequence)
    yield from _unequal("the PLC's life", rules.plc.life, expected.life)
    yield from _unequal("heartbeat", thread.writer._board._heartbeat, expected.heartbeat)
    real_parts = {index: _part(part) for index, part in rules._ring._slots.items()}
    parts = {index: _part(part) for index, part in expected.slots}
    for index in sorted({*real_parts, *parts}):
        yield from _unequal(f"part in slot {index}", real_parts.get(index), parts.get(index))


def _part(part: Part) -> dict[str, Any]:
    facts = {name: getattr(part, name) for name in _PART_FIELDS}
    return {**facts, "decision": _decision(part.decision)}


def _decision(decision: Decision | None) -> tuple[Any, ...] | None:
    if decision is None:
        return None
    envelope = decision.envelope
    basis = envelope and (envelope.judge_start_id, envelope.sequence, envelope.trigger_id)
    return decision.verdict, decision.reason, basis


def _edge(told: Told) -> tuple[int, int, int, int, int]:
    return (
        told.epoch,
        told.trigger_id,
        told.observed_after * STEP_NS,
        told.observed * STEP_NS,
        told.deadline * STEP_NS,
    )


def _unequal(what: str, real: object, expected: object) -> Iterator[str]:
    if real != expected:
        yield f"{what}: real {real}, model {expected}"
