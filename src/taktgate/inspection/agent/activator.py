"""Brings staged models to life, watches their trial, and takes them back: the agent's main duty.

It compares what should be with what the judge says is, and sends the commands that are missing;
all of them may be repeated without harm. So a lost datagram, a restarted judge or a restarted agent
needs no special path: the next status says what is.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from taktgate.contracts.activation import Activation, Baseline, Rollback, SlotRef
from taktgate.contracts.codec import is_compatible
from taktgate.contracts.staged import ActivationPolicy, StagedModel
from taktgate.contracts.twins import TypedError
from taktgate.contracts.verdict import VerdictEnvelope
from taktgate.edge.clock import SECOND
from taktgate.inspection.agent import activation as table
from taktgate.inspection.agent.activation import MAX_ATTEMPTS, Event, Phase
from taktgate.inspection.agent.guardrails import (
    Breach,
    Guardrail,
    GuardrailSettings,
    TrialWatch,
    add_part,
    counts_for_model,
)
from taktgate.inspection.agent.ledger import Ledger, Memory
from taktgate.inspection.control import (
    Drop,
    JudgeStatus,
    Load,
    LoadedModel,
    RunnerState,
    Swap,
)

log = logging.getLogger(__name__)

BLOCKED: Final = "BLOCKED"
"""Reason of an order for what was rolled back under it before."""
BASELINE_EVERY_PARTS: Final = 20
BASELINE_EVERY_NS: Final = 60 * SECOND

Command = Load | Swap | Drop


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
        self._settings = settings
        self._world = world
        self._ledger = Ledger(activation, world.memory)
        self.phase = table.resume(activation)
        self.candidate = None if activation.trial is None else activation.trial.candidate
        self.watch: TrialWatch | None = None
        self.status: JudgeStatus | None = None
        self._attempts = 0 if activation.trial is None else activation.trial.attempts
        self._baseline = activation.baseline
        self._baseline_saved_ns = world.clock()
        self._unsaved: Rollback | None = None
        """A rollback that the disk has refused so far."""
        self._waiting: StagedModel | None = None
        self._given_up: tuple[str, str] | None = None
        """Digest and order that were refused: not tried again until something else is asked for."""
        self._was_load_sent = False

    @property
    def activation(self) -> Activation:
        """Return the activation as it is on disk."""
        return self._ledger.activation

    @property
    def error(self) -> TypedError | None:
        """Return why the newest order is not followed, or why last-known-good cannot judge."""
        held = self._good_model()
        if self._ledger.error is None and held is not None and held.refused is not None:
            return TypedError(reason=held.refused.reason, message=held.refused.message)
        return self._ledger.error

    def staged(self, notice: StagedModel) -> None:
        """Take a notice of the stager; the newest one counts, and it waits while a trial runs."""
        if not is_compatible(notice.contract):
            self._ledger.refuse(notice.order, "CONTRACT", f"contract {notice.contract} is not ours")
            return
        self._waiting = notice
        self._consider()

    def judge_status(self, status: JudgeStatus) -> None:
        """Take in what the judge says is, and send what is missing."""
        self.status = status
        self._ledger.prove(self._good_model())
        self._steer()
        self._consider()

    def verdict(self, envelope: VerdictEnvelope) -> None:
        """Take in one verdict: a part of the trial, or of the confirmed model's baseline."""
        if envelope.model is None:
            return
        digest, good = envelope.model.digest, self.activation.last_known_good
        if self.watch is not None and self.phase is Phase.TRIAL and self._is_candidate(digest):
            breach = self.watch.observe(envelope.verdict, envelope.reason)
            if breach is not None:
                self._fall_back(breach)
            elif self.watch.is_over:
                self._confirm()
        elif good is not None and good.model.digest == digest:
            is_reject = counts_for_model(envelope.verdict, envelope.reason)
            if is_reject is not None:
                self._baseline = add_part(self._baseline, is_reject=is_reject)

    def tick(self) -> None:
        """Do what depends on time: repeat a failed write, save the baseline at a low rate."""
        self._save_rollback()
        if self.phase is Phase.TRIAL and self.watch is not None and self.watch.is_over:
            self._confirm()
        self._save_baseline()
        self._consider()

    def model(self, digest: str | None) -> LoadedModel | None:
        """Return what the judge holds of *digest*."""
        models = () if self.status is None else self.status.models
        return next((model for model in models if model.digest == digest), None)

    def _good_model(self) -> LoadedModel | None:
        good = self.activation.last_known_good
        return None if good is None else self.model(good.model.digest)

    def _consider(self) -> None:
        """Begin with the notice that waits, if there is anything to begin."""
        notice = self._waiting
        if notice is None or self.phase is not Phase.IDLE or self._unsaved is not None:
            return
        digest, order = notice.model.digest, notice.order
        good = self.activation.last_known_good
        if (digest, order) == self._given_up:
            return
        if table.is_settled(self.activation, digest=digest, order=order):
            self._waiting = None
            return
        if good is not None and good.model.digest == digest:
            self._satisfy(order)
        elif table.is_blocked(self.activation, digest=digest, order=order):
            self._waiting = None
            message = f"{digest} was rolled back here; it needs a new order"
            self._ledger.refuse(order, BLOCKED, message)
        elif self._may_begin(notice):
            self._begin(notice)

    def _may_begin(self, notice: StagedModel) -> bool:
        """Tell whether the notice's policy allows to change models now."""
        if notice.activation is ActivationPolicy.IMMEDIATE:
            return True
        if self.activation.last_known_good is None:
            return True
        if self.status is not None and not self.status.is_enabled:
            return True
        self._ledger.refuse(
            notice.order, "WAITING", f"{notice.activation}: waits until Enable is off"
        )
        return False

    def _begin(self, notice: StagedModel) -> None:
        self._waiting, self._given_up = None, None
        self._ledger.clear()
        self.candidate = SlotRef(model=notice.model, order=notice.order, slot=notice.slot)
        self._attempts = 1
        self._load_candidate(Event.ORDERED)

    def _load_candidate(self, event: Event) -> None:
        self._go(event)
        self._was_load_sent = False
        self._steer()

    def _satisfy(self, order: str) -> None:
        self._waiting, self._given_up = None, None
        self._ledger.clear()
        self._ledger.save(table.satisfy(self.activation, order))

    def _steer(self) -> None:
        """Send what is missing for the present phase, and see whether it is reached."""
        if self.status is None:
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
        if self._is_live(self.candidate):
            self._enter_trial()
        else:
            self._retry()

    def _settle(self) -> None:
        """Have last-known-good live and nothing else loaded."""
        good = self.activation.last_known_good
        if good is not None:
            self._want_live(good)
        for model in () if self.status is None else self.status.models:
            is_live = self.status is not None and model.digest == self.status.live
            if not is_live and (good is None or model.digest != good.model.digest):
                self._world.command(Drop(digest=model.digest))

    def _load(self) -> None:
        candidate = self._require_candidate()
        held = self.model(candidate.model.digest)
        if held is None:
            self._send_load(candidate, golden=True)
        elif held.state is RunnerState.READY:
            self._begin_trial(candidate)
        elif held.state is RunnerState.REFUSED and not self._was_load_sent:
            self._world.command(Drop(digest=held.digest))
        elif held.state is RunnerState.REFUSED and held.refused is not None:
            self._turn_down(candidate, held.refused.reason, held.refused.message)

    def _swap(self) -> None:
        candidate = self._require_candidate()
        held = self.model(candidate.model.digest)
        if self._is_live(candidate):
            self._enter_trial()
        elif held is None or held.state is RunnerState.REFUSED:
            self._retry()
        elif held.state is RunnerState.READY:
            self._world.command(Swap(digest=candidate.model.digest))

    def _stay(self) -> None:
        if not self._is_live(self.candidate):
            self._retry()

    def _revert(self) -> None:
        good, candidate = self.activation.last_known_good, self._require_candidate()
        held = self._good_model()
        if good is None:
            return
        if self._is_live(good):
            self._world.command(Drop(digest=candidate.model.digest))
        elif held is not None and held.state is RunnerState.REFUSED and not self._was_load_sent:
            self._send_load(good, golden=False)
            return
        elif held is not None and held.state is RunnerState.REFUSED:
            message = "last-known-good is refused; the blocked model judges until a new order"
            self._ledger.refuse(candidate.order, "NO_WAY_BACK", message)
        else:
            self._want_live(good)
            return
        self._go(Event.GOOD_IS_LIVE)
        self.candidate, self.watch = None, None

    def _want_live(self, good: SlotRef) -> None:
        held = self.model(good.model.digest)
        if held is None:
            self._world.command(Load(slot=good.slot, digest=good.model.digest, golden=False))
        elif held.state is RunnerState.READY and not self._is_live(good):
            self._world.command(Swap(digest=good.model.digest))

    def _send_load(self, ref: SlotRef, *, golden: bool) -> None:
        self._was_load_sent = True
        self._world.command(Load(slot=ref.slot, digest=ref.model.digest, golden=golden))

    def _begin_trial(self, candidate: SlotRef) -> None:
        """Make the trial durable, then ask for the swap."""
        trial = table.begin_trial(
            self.activation, candidate, attempts=self._attempts, baseline=self._baseline
        )
        if not self._ledger.save(trial):
            return  # tried again with the next status; nothing has changed on the line
        self._go(Event.READY)
        self._world.command(Swap(digest=candidate.model.digest))

    def _enter_trial(self) -> None:
        self._go(Event.LIVE)
        self.watch = TrialWatch(self._settings, self.activation.baseline)
        if self.activation.last_known_good is None:
            self._confirm()  # commissioning: there is nothing to go back to

    def _confirm(self) -> None:
        watch, candidate = self.watch, self._require_candidate()
        counts = Baseline(parts=0, rejects=0)
        if watch is not None:
            counts = Baseline(parts=watch.parts, rejects=watch.rejects)
        if not self._ledger.save(table.confirm(self.activation, baseline=counts)):
            return  # `tick` tries again; until then last-known-good stays where it is
        self._baseline = counts
        log.info("model confirmed", extra={"digest": candidate.model.digest, **counts_of(watch)})
        self._go(Event.PASSED)
        self.candidate = None
        self._ledger.prove(self._good_model())
        self._steer()

    def _retry(self) -> None:
        """Try the candidate once more, or give it up, after the judge has lost it."""
        if self._attempts >= MAX_ATTEMPTS and self.activation.last_known_good is not None:
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
        log.error("rolling back", extra={"digest": rollback.digest, "reason": rollback.reason})
        self._unsaved = rollback
        self._save_rollback()
        self._go(Event.BREACHED)
        self._was_load_sent = False
        self._steer()

    def _save_rollback(self) -> None:
        """Make the rollback durable and tell of it; a disk that refuses does not keep the line."""
        rollback = self._unsaved
        if rollback is None or not self._ledger.save(table.roll_back(self.activation, rollback)):
            return  # `tick` tries again; until then a power cut boots last-known-good all the same
        self._unsaved = None
        self._world.audit(rollback)

    def _turn_down(self, candidate: SlotRef, reason: str, message: str) -> None:
        """Drop a candidate that its runner refused. The live model was never touched."""
        self._world.command(Drop(digest=candidate.model.digest))
        if self.activation.trial is not None:
            self._fall_back(Breach(guardrail=Guardrail.INFERENCE_FAILURE, message=message))
            return
        self._go(Event.REFUSED)
        self.candidate = None
        self._given_up = (candidate.model.digest, candidate.order)
        self._ledger.refuse(candidate.order, reason, message)

    def _save_baseline(self) -> None:
        saved = self.activation.baseline
        is_due = self._world.clock() - self._baseline_saved_ns >= BASELINE_EVERY_NS
        if (
            is_due
            and self.phase is Phase.IDLE
            and abs(self._baseline.parts - saved.parts) >= BASELINE_EVERY_PARTS
        ):
            self._baseline_saved_ns = self._world.clock()
            self._ledger.save(table.with_baseline(self.activation, self._baseline))

    def _go(self, event: Event) -> None:
        before, self.phase = self.phase, table.advance(self.phase, event)
        log.info("activation", extra={"from": before, "event": event, "to": self.phase})

    def _require_candidate(self) -> SlotRef:
        assert self.candidate is not None
        return self.candidate

    def _is_candidate(self, digest: str) -> bool:
        return self.candidate is not None and self.candidate.model.digest == digest

    def _is_live(self, ref: SlotRef | None) -> bool:
        live = None if self.status is None else self.status.live
        return ref is not None and ref.model.digest == live


def counts_of(watch: TrialWatch | None) -> dict[str, float]:
    """Return the figures of *watch*, none without one."""
    return {} if watch is None else watch.figures()
