"""The course of one candidate: loaded, shown frames, tried, and confirmed or sent back.

It compares what should be with what the judge says is, and sends the commands that are missing;
all of them may be repeated without harm. So a lost datagram, a restarted judge or a restarted agent
needs no special path: the next status says what is.
"""

import logging
from collections.abc import Callable
from typing import Final

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import Activation, SlotRef, Trial
from taktgate.contracts.staged import ActivationPolicy, StagedModel
from taktgate.contracts.verdict import VerdictEnvelope
from taktgate.inspection.agent import activation as table
from taktgate.inspection.agent.context import Context
from taktgate.inspection.agent.faults import Source
from taktgate.inspection.agent.phases import (
    MAX_ATTEMPTS,
    UNTRIED,
    Event,
    Phase,
    advance,
    resume,
)
from taktgate.inspection.agent.shadow_phase import ShadowPhase
from taktgate.inspection.agent.trial_phase import TrialPhase, failure
from taktgate.inspection.control import LoadedModel, RunnerState
from taktgate.inspection.guardrails.breach import Breach
from taktgate.inspection.guardrails.shadow import ShadowOutcome
from taktgate.inspection.opinions import ShadowPair

log = logging.getLogger(__name__)

NO_WAY_BACK: Final = "NO_WAY_BACK"
"""What was sent back judges no more, and nothing that is trusted can run in its place."""


class Course:
    """Where the newest candidate stands, and what is to be done for it next."""

    def __init__(
        self, activation: Activation, context: Context, *, trial: TrialPhase, shadow: ShadowPhase
    ) -> None:
        unfinished = activation.trial
        self._context = context
        self._trial = trial
        self._shadow = shadow
        self.phase = resume(activation)
        self.candidate = None if unfinished is None else unfinished.candidate
        self._attempts = 0 if unfinished is None else unfinished.attempts
        self.policy = ActivationPolicy.IMMEDIATE if unfinished is None else unfinished.policy
        self._renewed = 0
        self._was_load_sent = False
        self._steps: Final[dict[Phase, Callable[[SlotRef], None]]] = {
            Phase.RESUMING: self._resume,
            Phase.LOADING: self._load,
            Phase.SHADOW: self._compare,
            Phase.WAITING: self._wait,
            Phase.SWAPPING: self._swap,
            Phase.TRIAL: self._stay,
            Phase.REVERTING: self._revert,
        }

    @property
    def is_untried(self) -> bool:
        """Return True while the candidate has touched neither the line nor the disk."""
        return self.phase in UNTRIED and self._context.ledger.activation.trial is None

    def is_about(self, notice: StagedModel) -> bool:
        """Tell whether *notice* is what is being loaded or tried already."""
        ref = self.candidate
        is_going_on = self.phase not in (Phase.IDLE, Phase.REVERTING)
        asked = (notice.model.digest, notice.order)
        return is_going_on and ref is not None and (ref.model.digest, ref.order) == asked

    def is_candidate(self, digest: str) -> bool:
        """Tell whether *digest* is the candidate's."""
        return self.candidate is not None and self.candidate.model.digest == digest

    def begin(self, notice: StagedModel) -> None:
        """Begin with what *notice* orders."""
        self.candidate = SlotRef(model=notice.model, order=notice.order, slot=notice.slot)
        self._attempts, self.policy, self._renewed = 1, notice.activation, notice.renewed
        self._load_candidate(Event.ORDERED)

    def withdraw(self) -> StagedModel:
        """Let go of a candidate before it judges; return what asked for it."""
        candidate = self._require_candidate()
        self._end(Event.WITHDRAWN)
        self._context.commands.drop(candidate.model.digest)
        return self._notice_of(candidate)

    def send_back_good(self, good: SlotRef) -> None:
        """Have the line leave *good*, the confirmed model, which is blocked by now."""
        self.candidate = good
        self._was_load_sent = False
        self._go(Event.GOOD_BREACHED)
        self.steer()

    def steer(self) -> None:
        """Send what is missing for the present phase, and see whether it is reached."""
        if self._context.judge.status is None:
            return
        candidate = self.candidate
        if self.phase is not Phase.IDLE and candidate is not None:
            self._steps[self.phase](candidate)
        if self.phase is Phase.IDLE:
            self._settle()
        shown = self.candidate if self.phase is Phase.SHADOW else None
        self._context.commands.want_shadow(None if shown is None else shown.model.digest)

    def verdict(self, envelope: VerdictEnvelope) -> None:
        """Take in one part that the candidate judged."""
        if self.phase is not Phase.TRIAL:
            return
        breach = self._trial.observe(envelope)
        if breach is not None:
            self._send_back(breach)
        elif self._trial.is_over:
            self._confirm()

    def escape(self, trigger_id: int, defect_class: str) -> None:
        """Take in that a person found a part defective that the candidate on trial has passed."""
        breach = self._trial.escape(trigger_id, defect_class)
        if self.phase is Phase.TRIAL and breach is not None:
            self._send_back(breach)

    def pair(self, pair: ShadowPair) -> None:
        """Take in one part that the candidate has seen in the shadow."""
        if self.phase is Phase.SHADOW:
            self._shadow.add(pair, self._require_candidate().model.digest)
            self.steer()

    def tick(self) -> None:
        """Try again to confirm, should the disk have refused."""
        if self.phase is Phase.TRIAL and self._is_trial_over():
            self._confirm()

    def _settle(self) -> None:
        """Have a trusted model live, the way back warm beside it, and nothing else loaded."""
        context, commands = self._context, self._context.commands
        outlook, target = context.rollbacks.outlook, context.way_back.target()
        if target is None:
            commands.silence_distrusted(outlook)
        else:
            commands.want_live(target)
            if context.judge.is_live(target) and outlook.previous_good is not None:
                commands.want_loaded(outlook.previous_good)
        commands.drop_others(outlook, None)

    def _resume(self, candidate: SlotRef) -> None:
        if self._context.judge.is_live(candidate):
            self._enter_trial()
        else:
            self._retry()

    def _load(self, candidate: SlotRef) -> None:
        context = self._context
        context.commands.drop_others(context.ledger.activation, candidate)
        held = self._held(candidate)
        if held is None:
            self._was_load_sent = True
            context.commands.load_candidate(candidate)
        elif held.state is RunnerState.READY:
            self._go(Event.READY)
            self._shadow.begin()
            self._compare(candidate)
        elif held.state is RunnerState.REFUSED and not self._was_load_sent:
            context.commands.drop(held.digest)
        elif held.state is RunnerState.REFUSED:
            self._turn_down(candidate, held)

    def _compare(self, candidate: SlotRef) -> None:
        """Stay in the shadow until its parts are in; a second attempt has been there before."""
        held = self._held(candidate)
        if held is None:
            self._lose()
        elif held.state is RunnerState.REFUSED:
            self._turn_down(candidate, held)
        elif self._context.ledger.activation.trial is not None or self._context.good.has_failed:
            self._enter_waiting(candidate)
        else:
            outcome = self._shadow.outcome(held)
            if isinstance(outcome, Breach):
                self._send_back(outcome)
            elif outcome is ShadowOutcome.PASSED:
                self._enter_waiting(candidate)

    def _enter_waiting(self, candidate: SlotRef) -> None:
        log.info("shadow is over", extra={"figures": self._shadow.figures})
        self._go(Event.COMPARED)
        self._wait(candidate)

    def _wait(self, candidate: SlotRef) -> None:
        """Begin the trial as soon as the policy allows."""
        held = self._held(candidate)
        if held is None:
            self._lose()
        elif held.state is RunnerState.REFUSED:
            self._turn_down(candidate, held)
        elif held.state is RunnerState.READY and self._may_change(candidate):
            self._begin_trial(candidate)

    def _swap(self, candidate: SlotRef) -> None:
        held = self._held(candidate)
        if self._context.judge.is_live(candidate):
            self._enter_trial()
        elif held is None or held.state is RunnerState.REFUSED:
            self._retry()
        elif held.state is RunnerState.READY and self._may_change(candidate):
            self._context.commands.swap(candidate)

    def _stay(self, candidate: SlotRef) -> None:
        if not self._context.judge.is_live(candidate):
            self._retry()
            return
        breach = self._trial.given_out(self._held(candidate))
        if breach is not None:
            self._send_back(breach)

    def _revert(self, candidate: SlotRef) -> None:
        """Have a trusted model judge again, or nothing: what was sent back never goes on."""
        context = self._context
        good, target = context.way_back.good, context.way_back.target()
        if target is not None and context.judge.is_live(target):
            context.commands.drop(candidate.model.digest)
            self._end(Event.GOOD_IS_LIVE)
        elif target is not None:
            context.commands.want_live(target)
        elif good is not None and not self._was_load_sent:
            self._was_load_sent = True
            context.commands.reload(good)
        else:
            context.commands.drop(candidate.model.digest, even_if_live=True)
            message = "no trusted model can run here; the station needs a new order"
            context.ledger.refuse(candidate.order, NO_WAY_BACK, message)
            self._end(Event.NO_WAY_BACK)

    def _begin_trial(self, candidate: SlotRef) -> None:
        """Make the trial durable, then ask for the swap."""
        ledger, good = self._context.ledger, self._context.good
        before = ledger.activation.trial
        trial = Trial(
            candidate=candidate,
            attempts=self._attempts,
            policy=self.policy,
            paired=self._shadow.live if before is None else before.paired,
        )
        if not ledger.save(table.begin_trial(ledger.activation, trial, baseline=good.counts)):
            return  # tried again with the next status; nothing has changed on the line
        self._go(Event.ALLOWED)
        self._shadow.end()
        self._context.commands.swap(candidate)

    def _enter_trial(self) -> None:
        self._go(Event.LIVE)
        self._trial.begin(self._context.ledger.activation)
        if self._is_trial_over():
            self._confirm()

    def _is_trial_over(self) -> bool:
        return self._is_commissioning() or self._trial.is_over

    def _is_commissioning(self) -> bool:
        """Tell whether this is the station's first model: there is nothing to hold it against."""
        activation = self._context.ledger.activation
        return activation.last_known_good is None and not activation.has_forgotten

    def _confirm(self) -> None:
        context = self._context
        counts = self._trial.counts
        if not context.ledger.save(table.confirm(context.ledger.activation, baseline=counts)):
            return  # `tick` tries again; until then last-known-good stays where it is
        digest = self._require_candidate().model.digest
        log.info("model confirmed", extra={"digest": digest, **self._trial.figures})
        context.good.restart(context.ledger.activation, has_returned=False)
        self._end(Event.PASSED)
        context.faults.clear(Source.ORDER, Source.WAITING, Source.ACTIVATION_FILE, Source.ALARM)
        context.ledger.prove(context.judge.model(digest))
        self.steer()

    def _retry(self) -> None:
        """Try the candidate once more, or give it up, after the judge has lost it."""
        if self._attempts >= MAX_ATTEMPTS and not self._is_commissioning():
            message = "the judge lost the candidate twice during its trial"
            self._send_back(failure(message, self._trial.figures))
            return
        self._attempts += 1
        self._load_candidate(Event.LOST)

    def _lose(self) -> None:
        """Load a candidate anew that the judge lost before its trial: that counts for nothing."""
        self._load_candidate(Event.LOST)

    def _load_candidate(self, event: Event) -> None:
        self._go(event)
        self._trial.end()
        self._was_load_sent = False
        self.steer()

    def _send_back(self, breach: Breach) -> None:
        """Go back to what is trusted: made durable first if the disk allows, then on the line."""
        candidate, context = self._require_candidate(), self._context
        context.rollbacks.take(context.rollback_of(candidate, breach), table.roll_back)
        if self.phase is not Phase.SHADOW:
            context.good.restart(context.rollbacks.outlook, has_returned=True)
        self._go(Event.BREACHED)
        self._was_load_sent = False
        self.steer()

    def _turn_down(self, candidate: SlotRef, held: LoadedModel) -> None:
        """Drop a candidate that its runner refused. The live model was never touched."""
        refused, context = held.refused, self._context
        reason = "REFUSED" if refused is None else refused.reason
        message = "" if refused is None else refused.message
        context.commands.drop(candidate.model.digest)
        if context.ledger.activation.trial is not None:
            self._send_back(failure(f"{reason}: {message}", self._trial.figures))
            return
        self._end(Event.REFUSED)
        context.orders.give_up(self._notice_of(candidate), reason, message)

    def _may_change(self, candidate: SlotRef) -> bool:
        return self._context.orders.may_change(self.policy, candidate.order)

    def _notice_of(self, candidate: SlotRef) -> StagedModel:
        return StagedModel(
            contract=CONTRACT_VERSION,
            model=candidate.model,
            order=candidate.order,
            slot=candidate.slot,
            activation=self.policy,
            renewed=self._renewed,
        )

    def _held(self, candidate: SlotRef) -> LoadedModel | None:
        return self._context.judge.model(candidate.model.digest)

    def _end(self, event: Event) -> None:
        self._go(event)
        self.candidate = None
        self._trial.end()
        self._shadow.end()

    def _go(self, event: Event) -> None:
        before, self.phase = self.phase, advance(self.phase, event)
        log.info("activation", extra={"from": before, "event": event, "to": self.phase})

    def _require_candidate(self) -> SlotRef:
        assert self.candidate is not None
        return self.candidate
