"""Brings staged models to life, watches their trial, and takes them back: the agent's main duty.

It compares what should be with what the judge says is, and sends the commands that are missing;
all of them may be repeated without harm. So a lost datagram, a restarted judge or a restarted agent
needs no special path: the next status says what is.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from taktgate.contracts.activation import Activation, Baseline, Rollback, SlotRef, Trial
from taktgate.contracts.staged import ActivationPolicy, StagedModel
from taktgate.contracts.twins import TypedError
from taktgate.contracts.verdict import VerdictEnvelope
from taktgate.inspection.agent import activation as table
from taktgate.inspection.agent.activation import MAX_ATTEMPTS, Event, Phase
from taktgate.inspection.agent.endurance import Endurance
from taktgate.inspection.agent.faults import Faults, Source
from taktgate.inspection.agent.hands import Command, Hands
from taktgate.inspection.agent.judge_view import JudgeView
from taktgate.inspection.agent.ledger import Ledger, Memory
from taktgate.inspection.agent.orders import OrderDesk
from taktgate.inspection.agent.rollbacks import RollbackDesk
from taktgate.inspection.control import Drop, JudgeStatus, Load, LoadedModel, RunnerState, Swap
from taktgate.inspection.guardrails.baseline import BaselineKeeper
from taktgate.inspection.guardrails.trial import (
    Breach,
    Guardrail,
    GuardrailSettings,
    TrialWatch,
    counts_of,
)

log = logging.getLogger(__name__)

RECOVERED: Final = "recovered"
"""Order of a model that was found judging after the station had forgotten its models."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What the activator needs of the world."""

    memory: Memory
    command: Callable[[Command], None]
    audit: Callable[[Rollback], None]
    clock: Callable[[], int]
    wall_clock: Callable[[], str]


class Activator:
    """One station's models: which one judges, which one is tried, which one is the way back."""

    def __init__(
        self, activation: Activation, settings: GuardrailSettings, world: Surroundings
    ) -> None:
        trial = activation.trial
        self._settings = settings
        self._world = world
        self.faults = Faults()
        self.judge = JudgeView(world.clock)
        self._ledger = Ledger(activation, world.memory, self.faults)
        self._hands = Hands(self.judge, self._command)
        self._orders = OrderDesk(self._ledger, self.judge, self.faults)
        self._rollbacks = RollbackDesk(self._ledger, world.audit)
        self._baseline = BaselineKeeper(activation.baseline, world.clock)
        self._endurance = Endurance(world.clock)
        self.phase = table.resume(activation)
        self.candidate = None if trial is None else trial.candidate
        self._attempts = 0 if trial is None else trial.attempts
        self._policy = ActivationPolicy.IMMEDIATE if trial is None else trial.policy
        self.watch: TrialWatch | None = None
        self._was_load_sent = False

    @property
    def activation(self) -> Activation:
        """Return the activation as it is on disk."""
        return self._ledger.activation

    @property
    def error(self) -> TypedError | None:
        """Return the gravest of what is wrong."""
        return self.faults.gravest

    def staged(self, notice: StagedModel) -> None:
        """Take a notice of the stager; the newest one counts, and it waits while a trial runs."""
        if not self._orders.take(notice):
            return
        if self._is_under_way(notice):
            self._orders.waiting, self._policy = None, notice.activation
        else:
            self._consider()

    def judge_status(self, status: JudgeStatus) -> None:
        """Take in what the judge says is, and send what is missing."""
        self.judge.take(status)
        self._ledger.prove(self._good_model())
        self._steer()
        self._consider()
        self._look_at_judge()

    def verdict(self, envelope: VerdictEnvelope) -> None:
        """Take in one verdict: a part of the trial, or of the confirmed model's baseline."""
        if envelope.model is None:
            return
        digest, good = envelope.model.digest, self.activation.last_known_good
        if self.watch is not None and self.phase is Phase.TRIAL and self._is_candidate(digest):
            self._observe(self.watch, envelope)
        elif good is not None and good.model.digest == digest:
            self._baseline.add(envelope)

    def tick(self) -> None:
        """Do what depends on time: repeat a failed write, save the baseline at a low rate."""
        self._rollbacks.save()
        if self.phase is Phase.TRIAL and self._is_trial_over():
            self._confirm()
        self._save_baseline()
        self._consider()
        self._look_at_judge()

    def _good_model(self) -> LoadedModel | None:
        good = self.activation.last_known_good
        return None if good is None else self.judge.model(good.model.digest)

    def _look_at_judge(self) -> None:
        held = self._good_model()
        refused = None if held is None else held.refused
        why = None
        if refused is not None:
            why = TypedError(reason=refused.reason, message=refused.message)
        self.faults.put(Source.GOOD_MODEL, why)
        self.faults.put(Source.JUDGE, self.judge.fault())

    def _consider(self) -> None:
        """Begin with the notice that waits, if there is anything to begin."""
        if self.phase is not Phase.IDLE or not self._rollbacks.is_settled:
            return
        notice = self._orders.next()
        if notice is not None:
            self._begin(notice)

    def _is_under_way(self, notice: StagedModel) -> bool:
        """Tell whether *notice* is what is being loaded or tried already."""
        ref = self.candidate
        is_going_on = self.phase is not Phase.IDLE and self.phase is not Phase.REVERTING
        asked = (notice.model.digest, notice.order)
        return is_going_on and ref is not None and (ref.model.digest, ref.order) == asked

    def _begin(self, notice: StagedModel) -> None:
        self._orders.settle()
        self.candidate = SlotRef(model=notice.model, order=notice.order, slot=notice.slot)
        self.watch, self._attempts, self._policy = None, 1, notice.activation
        self._load_candidate(Event.ORDERED)

    def _load_candidate(self, event: Event) -> None:
        self._go(event)
        self._was_load_sent = False
        self._steer()

    def _steer(self) -> None:
        """Send what is missing for the present phase, and see whether it is reached."""
        if self.judge.status is None:
            return
        steps: dict[Phase, Callable[[], None]] = {
            Phase.RESUMING: self._resume,
            Phase.IDLE: self._settle,
            Phase.LOADING: self._load,
            Phase.SWAPPING: self._swap,
            Phase.TRIAL: self._stay,
            Phase.REVERTING: self._revert,
        }
        steps[self.phase]()

    def _resume(self) -> None:
        if self.judge.is_live(self.candidate):
            self._enter_trial()
        else:
            self._retry()

    def _settle(self) -> None:
        """Have last-known-good live and nothing else loaded."""
        if self.activation.last_known_good is None and self.activation.has_forgotten:
            self._adopt()
        good = self.activation.last_known_good
        if good is not None:
            self._hands.want_live(good)
        self._hands.drop_others(self.activation, self.candidate)

    def _adopt(self) -> None:
        """Take what judges for last-known-good, since nothing else is known of this station."""
        live = self.judge.live_model
        if (
            live is None
            or live.ready is None
            or table.was_rolled_back(self.activation, live.digest)
        ):
            return
        ref = SlotRef(model=live.ready.model, order=RECOVERED, slot=live.slot)
        if self._ledger.save(table.adopt(self.activation, ref)):
            log.warning("adopted what judges", extra={"digest": live.digest})

    def _load(self) -> None:
        candidate = self._require_candidate()
        self._hands.drop_others(self.activation, self.candidate)
        held = self.judge.model(candidate.model.digest)
        if held is None:
            self._send_load(candidate, golden=True)
        elif held.state is RunnerState.READY:
            self._try(candidate)
        elif held.state is RunnerState.REFUSED and not self._was_load_sent:
            self._command(Drop(digest=held.digest))
        elif held.state is RunnerState.REFUSED and held.refused is not None:
            self._turn_down(candidate, held.refused.reason, held.refused.message)

    def _try(self, candidate: SlotRef) -> None:
        """Begin the trial as soon as the policy allows; until then a newer order goes first."""
        if self._orders.may_change(self._policy, candidate.order):
            self._begin_trial(candidate)
        elif self._orders.waiting is not None and self.activation.trial is None:
            self._go(Event.WITHDRAWN)
            self.candidate = None
            self._hands.drop_others(self.activation, self.candidate)
            self._consider()

    def _swap(self) -> None:
        candidate = self._require_candidate()
        held = self.judge.model(candidate.model.digest)
        if self.judge.is_live(candidate):
            self._enter_trial()
        elif held is None or held.state is RunnerState.REFUSED:
            self._retry()
        elif held.state is RunnerState.READY and self._orders.may_change(
            self._policy, candidate.order
        ):
            self._command(Swap(digest=candidate.model.digest))

    def _stay(self) -> None:
        candidate = self._require_candidate()
        if not self.judge.is_live(candidate):
            self._retry()
            return
        # A runner that cannot come up gives no verdicts, so no part would ever end this trial.
        why = self._endurance.given_out(self.judge.model(candidate.model.digest))
        if why is not None:
            self._fall_back(Breach(guardrail=Guardrail.INFERENCE_FAILURE, message=why))

    def _revert(self) -> None:
        good, candidate = self.activation.last_known_good, self._require_candidate()
        held = self._good_model()
        is_refused = held is not None and held.state is RunnerState.REFUSED
        if good is None:
            self._command(Drop(digest=candidate.model.digest, even_if_live=True))
            self._end_without_way_back("there is no last-known-good; the station needs a new order")
        elif self.judge.is_live(good):
            self._command(Drop(digest=candidate.model.digest))
            self._end_reverting(Event.GOOD_IS_LIVE)
        elif is_refused and not self._was_load_sent:
            self._send_load(good, golden=False)
        elif is_refused:
            self._end_without_way_back(
                "last-known-good is refused; the blocked model judges until a new order"
            )
        else:
            self._hands.want_live(good)

    def _end_without_way_back(self, message: str) -> None:
        self._ledger.refuse(self._require_candidate().order, "NO_WAY_BACK", message)
        self._end_reverting(Event.NO_WAY_BACK)

    def _end_reverting(self, event: Event) -> None:
        self._go(event)
        self.candidate, self.watch = None, None

    def _send_load(self, ref: SlotRef, *, golden: bool) -> None:
        self._was_load_sent = True
        self._command(Load(slot=ref.slot, digest=ref.model.digest, golden=golden))

    def _begin_trial(self, candidate: SlotRef) -> None:
        """Make the trial durable, then ask for the swap."""
        trial = Trial(candidate=candidate, attempts=self._attempts, policy=self._policy)
        baseline = self._baseline.counts
        if not self._ledger.save(table.begin_trial(self.activation, trial, baseline=baseline)):
            return  # tried again with the next status; nothing has changed on the line
        self._go(Event.READY)
        self._command(Swap(digest=candidate.model.digest))

    def _enter_trial(self) -> None:
        self._go(Event.LIVE)
        self._endurance.restart()
        activation = self.activation
        self.watch = TrialWatch(self._settings, activation.baseline, activation.trial)
        if self._is_trial_over():
            self._confirm()

    def _is_trial_over(self) -> bool:
        return self._is_commissioning() or (self.watch is not None and self.watch.is_over)

    def _is_commissioning(self) -> bool:
        """Tell whether this is the station's first model: there is nothing to hold it against."""
        return self.activation.last_known_good is None and not self.activation.has_forgotten

    def _observe(self, watch: TrialWatch, envelope: VerdictEnvelope) -> None:
        breach = watch.observe(envelope.verdict, envelope.reason)
        if breach is not None:
            self._fall_back(breach)
        elif watch.is_over:
            self._confirm()
        else:
            progress = table.with_progress(
                self.activation, parts=watch.parts, rejects=watch.rejects, failures=watch.failures
            )
            if progress is not None:
                self._ledger.save(progress)

    def _confirm(self) -> None:
        watch, candidate = self.watch, self._require_candidate()
        assert watch is not None
        counts = Baseline(parts=watch.parts, rejects=watch.rejects)
        if not self._ledger.save(table.confirm(self.activation, baseline=counts)):
            return  # `tick` tries again; until then last-known-good stays where it is
        self._baseline.restart(counts)
        log.info("model confirmed", extra={"digest": candidate.model.digest, **counts_of(watch)})
        self._go(Event.PASSED)
        self.candidate, self.watch = None, None
        self.faults.clear(Source.ORDER, Source.WAITING, Source.ACTIVATION_FILE)
        self._ledger.prove(self._good_model())
        self._steer()

    def _retry(self) -> None:
        """Try the candidate once more, or give it up, after the judge has lost it."""
        if self._attempts >= MAX_ATTEMPTS and not self._is_commissioning():
            message = "the judge lost the candidate twice during its trial"
            self._fall_back(Breach(guardrail=Guardrail.INFERENCE_FAILURE, message=message))
            return
        self._attempts += 1
        self.watch = None
        self._load_candidate(Event.LOST)

    def _fall_back(self, breach: Breach) -> None:
        """Go back to last-known-good: made durable first if the disk allows, then on the line."""
        candidate = self._require_candidate()
        rollback = Rollback(
            digest=candidate.model.digest,
            order=candidate.order,
            reason=breach.guardrail,
            figures=counts_of(self.watch),
            message=breach.message,
            at=self._world.wall_clock(),
        )
        self._rollbacks.take(rollback)
        self._go(Event.BREACHED)
        self._was_load_sent = False
        self._steer()

    def _turn_down(self, candidate: SlotRef, reason: str, message: str) -> None:
        """Drop a candidate that its runner refused. The live model was never touched."""
        self._command(Drop(digest=candidate.model.digest))
        if self.activation.trial is not None:
            self._fall_back(Breach(guardrail=Guardrail.INFERENCE_FAILURE, message=message))
            return
        self._go(Event.REFUSED)
        self.candidate = None
        self._orders.give_up(candidate, reason, message)

    def _command(self, command: Command) -> None:
        if isinstance(command, Drop):
            self.judge.forget(command.digest)
        self._world.command(command)

    def _save_baseline(self) -> None:
        if self.phase is not Phase.IDLE:
            return
        counts = self._baseline.due(self.activation.baseline)
        if counts is not None:
            self._ledger.save(table.with_baseline(self.activation, counts))

    def _go(self, event: Event) -> None:
        before, self.phase = self.phase, table.advance(self.phase, event)
        log.info("activation", extra={"from": before, "event": event, "to": self.phase})

    def _require_candidate(self) -> SlotRef:
        assert self.candidate is not None
        return self.candidate

    def _is_candidate(self, digest: str) -> bool:
        return self.candidate is not None and self.candidate.model.digest == digest
