"""The station's models: takes in what happens, and lets the course and the confirmed model act.

Everything comes in here on one thread: notices of the stager, an operator's requests, and what the
judge says. What a candidate goes through is `course`; what the confirmed one shows is `good_model`.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from taktgate.contracts.activation import Activation, Rollback, SlotRef
from taktgate.contracts.staged import StagedModel
from taktgate.contracts.twins import TypedError
from taktgate.contracts.verdict import VerdictEnvelope
from taktgate.inspection.agent import activation as table
from taktgate.inspection.agent.context import Context
from taktgate.inspection.agent.course import Course
from taktgate.inspection.agent.faults import Faults, Source
from taktgate.inspection.agent.good_model import GoodModel
from taktgate.inspection.agent.good_slot import GoodSlot
from taktgate.inspection.agent.judge_commands import Command, JudgeCommands
from taktgate.inspection.agent.judge_view import JudgeView
from taktgate.inspection.agent.ledger import Ledger, Memory
from taktgate.inspection.agent.operator import OperatorDesk
from taktgate.inspection.agent.orders import OrderDesk
from taktgate.inspection.agent.phases import Phase
from taktgate.inspection.agent.rollbacks import Change, RollbackDesk
from taktgate.inspection.agent.shadow_phase import ShadowPhase
from taktgate.inspection.agent.trial_phase import TrialPhase
from taktgate.inspection.agent.way_back import WayBack
from taktgate.inspection.control import JudgeStatus, LoadedModel
from taktgate.inspection.guardrails.breach import Breach, Guardrail
from taktgate.inspection.guardrails.environment import Response
from taktgate.inspection.guardrails.resource_or_drift import ResourceSample
from taktgate.inspection.guardrails.settings import GuardrailSettings
from taktgate.inspection.guardrails.trial import TrialWatch
from taktgate.inspection.image_facts import ImageFacts
from taktgate.inspection.opinions import ShadowPair

log = logging.getLogger(__name__)

NOT_JUDGING: Final = "NOT_JUDGING"
"""Reason of an escape that is reported of a model which does not judge here now."""
RECOVERED: Final = "recovered"
"""Order of a model that was found judging after the station had forgotten its models."""
_WHY: Final = {
    Response.ALARM_ENVIRONMENT: "it is the environment, not the model",
    Response.ALARM_NO_WAY_BACK: "there is no model to go back to",
    Response.ROLL_BACK: "another model is on trial at the moment",
}
"""Why nobody is sent back for a breach."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the activator needs of the world."""

    memory: Memory
    command: Callable[[Command], None]
    audit: Callable[[Rollback], None]
    alarm: Callable[[TypedError], None]
    """A breach that nobody is sent back for: people must look."""
    clock: Callable[[], int]
    wall_clock: Callable[[], str]


class Activator:
    """One station's models: which one judges, which one is tried, which one is the way back."""

    def __init__(
        self, activation: Activation, settings: GuardrailSettings, world: Surroundings
    ) -> None:
        self._world = world
        self.faults = Faults()
        self.judge = JudgeView(world.clock)
        self._ledger = Ledger(activation, world.memory, self.faults)
        self._rollbacks = RollbackDesk(self._ledger, world.audit)
        self._orders = OrderDesk(self._ledger, self.judge, self.faults)
        self._good = GoodModel(activation, settings, world.clock)
        self._way_back = WayBack(self.judge, self._rollbacks)
        self._trial = TrialPhase(self._ledger, settings, world.clock)
        self._shadow = ShadowPhase(self.judge, settings, world.clock)
        limit_ms = settings.latency.probe_limit_ms
        context = Context(
            faults=self.faults,
            judge=self.judge,
            ledger=self._ledger,
            commands=JudgeCommands(self.judge, world.command, probe_limit_ms=limit_ms),
            orders=self._orders,
            rollbacks=self._rollbacks,
            way_back=self._way_back,
            good=self._good,
            wall_clock=world.wall_clock,
        )
        self._context = context
        self._course = Course(activation, context, trial=self._trial, shadow=self._shadow)
        self._good_slot = GoodSlot(context)
        self.operator = OperatorDesk(self._ledger, self._orders, self.faults)

    @property
    def activation(self) -> Activation:
        """Return the activation as it is on disk."""
        return self._ledger.activation

    @property
    def phase(self) -> Phase:
        """Return where the newest candidate stands."""
        return self._course.phase

    @property
    def candidate(self) -> SlotRef | None:
        """Return the newest candidate until it is confirmed or sent back."""
        return self._course.candidate

    @property
    def watch(self) -> TrialWatch | None:
        """Return the watch of the trial that goes on."""
        return self._trial.watch

    @property
    def figures(self) -> dict[str, float]:
        """Return what the guardrails have counted of the candidate in its present phase."""
        return self._shadow.figures or self._trial.figures

    @property
    def live_figures(self) -> dict[str, float]:
        """Return what the guardrails have counted of the confirmed model."""
        return self._good.figures

    @property
    def error(self) -> TypedError | None:
        """Return the gravest of what is wrong."""
        return self.faults.gravest

    def staged(self, notice: StagedModel) -> None:
        """Take a notice of the stager: the newest one counts, and it waits while a trial runs."""
        self.operator.cloud_order = notice.order
        self._good_slot.announced(notice)
        if self._orders.take(notice):
            self._follow(notice)

    def request(self, ref: SlotRef) -> TypedError | None:
        """Take the request of an operator of this station, as `operator.order_for` has numbered it.

        It goes the way of any order: load, shadow, trial. The cloud's present order asks for
        nothing from now on.

        Returns:
            Why it is not followed; then nothing has changed.
        """
        refused, notice = self.operator.accept(ref)
        if notice is not None:
            self._follow(notice)
        return refused

    def clear(self, digest: str) -> TypedError | None:
        """Let an operator clear *digest*, which was sent back here: it may be ordered again.

        Returns:
            Why not; then nothing has changed.
        """
        refused = self.operator.clear(digest)
        if refused is None:
            self._course.steer()
            self._consider()
        return refused

    def judge_status(self, status: JudgeStatus) -> None:
        """Take in what the judge says is, and send what is missing."""
        self.judge.take(status)
        self._ledger.prove(self._good_model())
        self._ledger.note_runtime(self.judge.live_model)
        self._adopt()
        self._course.steer()
        self._consider()
        self._look_at_judge()
        self._tell_refusal()

    def verdict(self, envelope: VerdictEnvelope) -> None:
        """Take in one verdict: a part of the trial, or one of the confirmed model's."""
        if envelope.model is None:
            return
        digest = envelope.model.digest
        if self.phase is Phase.TRIAL and self._course.is_candidate(digest):
            self._course.verdict(envelope)
        elif self._is_good(digest):
            self._breached(self._good.observe(envelope))

    def pair(self, pair: ShadowPair) -> None:
        """Take in one part that live model and candidate have both judged."""
        self._course.pair(pair)

    def image(self, facts: ImageFacts) -> None:
        """Take in what was measured on the image of one part."""
        self._breached(self._good.image(facts))

    def resources(self, sample: ResourceSample) -> None:
        """Take in what the device bears while the confirmed model judges."""
        if self.judge.is_live(self._way_back.good) and self.phase is Phase.IDLE:
            self._breached(self._good.resources(sample))

    def escape(self, trigger_id: int, defect_class: str, digest: str) -> TypedError | None:
        """Take in that a person found part *trigger_id* defective, which *digest* had passed.

        Returns:
            Why it counts against nobody: that model is not the one that is trusted or tried now.
        """
        if self.phase is Phase.TRIAL and self._course.is_candidate(digest):
            self._course.escape(trigger_id, defect_class)
        elif self._is_good(digest):
            self._breached(self._good.escape(trigger_id, defect_class))
        else:
            message = f"{digest} passed part {trigger_id} and does not judge here now"
            return TypedError(reason=NOT_JUDGING, message=message)
        return None

    def is_sent_back(self, digest: str) -> bool:
        """Tell whether *digest* was sent back here and nobody has cleared it since."""
        return table.was_rolled_back(self._rollbacks.outlook, digest)

    def tick(self) -> None:
        """Do what depends on time: repeat a failed write, save the baseline at a low rate."""
        self._rollbacks.save()
        self._course.tick()
        self._save_baseline()
        self._consider()
        self._look_at_judge()
        self._tell_refusal()

    def _follow(self, notice: StagedModel) -> None:
        """Turn to *notice*; a candidate that has touched nothing yet gives way to it."""
        if self._course.is_about(notice):
            self._orders.settle()
            self._course.policy = notice.activation
            return
        if self._course.is_untried:
            self._course.withdraw()
        self._consider()

    def _consider(self) -> None:
        """Begin with the notice that waits, if there is anything to begin."""
        if self.phase is not Phase.IDLE or not self._rollbacks.is_settled:
            return
        notice = self._orders.next()
        if notice is not None:
            self._orders.settle()
            self._course.begin(notice)

    def _breached(self, breach: Breach | None) -> None:
        """Do what follows from a breach of the confirmed model.

        It goes back to the model before it. Without one, or when that model breaches too and so it
        is not the model, the station alarms and goes on: whatever is late, failed or in doubt is
        rejected as ever. Only where defects may be passing nothing judges any more.
        """
        if breach is None:
            return
        good, previous = self._way_back.good, self._way_back.previous
        has_way_back = previous is not None and not self._way_back.is_refused(previous)
        response = self._good.response(breach, has_way_back=has_way_back)
        is_settled = self.phase not in (Phase.TRIAL, Phase.REVERTING)
        is_roll_back = response is Response.ROLL_BACK and is_settled
        if not is_roll_back:
            self._alarm(good, breach, _WHY[response])
        if good is None or not is_settled:
            return
        if is_roll_back or breach.guardrail is Guardrail.ESCAPE_OR_DISAGREEMENT:
            self._send_back(good, breach, table.fall_back if is_roll_back else table.halt)

    def _send_back(self, good: SlotRef, breach: Breach, change: Change) -> None:
        """Block the confirmed model: durably first if the disk allows, then on the line."""
        if self.candidate is not None:
            self._orders.put_back(self._course.withdraw())
        self._rollbacks.take(self._context.rollback_of(good, breach), change)
        self._good.restart(self._rollbacks.outlook, has_returned=True)
        self._course.send_back_good(good)

    def _alarm(self, good: SlotRef | None, breach: Breach, why: str) -> None:
        message = f"{breach.message}; {why}"
        order = None if good is None else good.order
        error = TypedError(reason=breach.guardrail, message=message[:500], order=order)
        log.error("alarm", extra={"reason": breach.guardrail, "detail": message})
        self.faults.put(Source.ALARM, error)
        self._world.alarm(error)

    def _adopt(self) -> None:
        """Take what judges for last-known-good, when nothing else is known of this station."""
        activation, live = self.activation, self.judge.live_model
        is_needed = activation.last_known_good is None and activation.has_forgotten
        if not is_needed or self.phase is not Phase.IDLE or live is None or live.ready is None:
            return
        if table.was_rolled_back(activation, live.digest):
            return
        ref = SlotRef(model=live.ready.model, order=RECOVERED, slot=live.slot)
        if self._ledger.save(table.adopt(activation, ref)):
            log.warning("adopted what judges", extra={"digest": live.digest})

    def _is_good(self, digest: str) -> bool:
        good = self._way_back.good
        return good is not None and good.model.digest == digest

    def _good_model(self) -> LoadedModel | None:
        good = self.activation.last_known_good
        return None if good is None else self.judge.model(good.model.digest)

    def _look_at_judge(self) -> None:
        self._good_slot.report()
        if self.phase is Phase.IDLE:
            self._good_slot.try_again()
        self.faults.put(Source.JUDGE, self.judge.fault())

    def _tell_refusal(self) -> None:
        """Make known to the stager what is refused, now or when the disk allows."""
        refusal, told = self._good_slot.refusal or self._orders.given_up, self.activation.refused
        is_over = told is not None and self._good_slot.has_loaded(told.digest)
        if refusal != told and (refusal is not None or is_over):
            self._ledger.save(table.refuse(self.activation, refusal))

    def _save_baseline(self) -> None:
        if self.phase is not Phase.IDLE or not self._rollbacks.is_settled:
            return
        counts = self._good.due(self.activation.baseline)
        if counts is not None:
            self._ledger.save(table.with_baseline(self.activation, counts))
