"""The runners of one judge: started, proven in the gaps between parts, watched, replaced.

The live model has two runners where the station wants it so: when the one on duty dies or is
killed, its warm standby takes over in the same turn of the loop. All other work waits for a gap:
the start of a process takes a core for a while, and a run of a probe is best where no part
is late by it. It does not wait for ever.
"""

from typing import Final

from taktgate.contracts.codec import ContractError, decode
from taktgate.edge.clock import SECOND
from taktgate.inspection import doorbell
from taktgate.inspection.control import (
    Load,
    LoadedModel,
    Ready,
    Refused,
    RunnerState,
)
from taktgate.inspection.doorbell import DoorbellError, Job
from taktgate.inspection.frames.ring import FrameRing
from taktgate.inspection.pool import patience
from taktgate.inspection.pool.events import (
    Answered,
    CameUp,
    RunnerEvent,
    TurnedDown,
    WentDown,
)
from taktgate.inspection.pool.pooled_model import (
    MAX_TRIES,
    PooledModel,
    RunnerProcess,
    StartHistory,
)
from taktgate.inspection.pool.realtime import RealtimePriority
from taktgate.inspection.pool.starter import RunnerStarter, Terms
from taktgate.inspection.spawning.port import Starter

MAX_MODELS: Final = 4
"""Live, the way back, a candidate, and one that is on its way out."""
REFUSED_RETRY_NS: Final = 5 * SECOND
_BUSY: Final = frozenset({RunnerState.LOADING, RunnerState.PROBING})
_COMING: Final = frozenset({RunnerState.WAITING, RunnerState.LOADING})


class RunnerPool:
    """All runners; every call returns at once."""

    def __init__(self, terms: Terms, ring: FrameRing, starter: Starter) -> None:
        self._has_standby = terms.standby
        self._starter = RunnerStarter(terms, ring, starter)
        self._models: dict[str, PooledModel] = {}
        self._live: str | None = None
        self._wanted_since_ns: int | None = None
        """Since when the live model is to have a standby and has none."""
        self._swapped_ns: int | None = None
        """Since when the live model is another one than before."""
        self._realtime = RealtimePriority(terms.realtime)

    def listening(self) -> list[RunnerProcess]:
        """Return the runners that may have something to say."""
        return [process for model in self._models.values() for process in model.processes]

    def models(self) -> tuple[LoadedModel, ...]:
        """Return what is loaded, as the agent is told."""
        return tuple(model.facts() for model in self._models.values())

    def state(self, digest: str | None) -> RunnerState | None:
        """Return where the model stands, None when it is not loaded."""
        model = None if digest is None else self._models.get(digest)
        return None if model is None else model.state

    def runner(self, digest: str) -> int | None:
        """Return the number of the runner on duty, None while there is none."""
        model = self._models.get(digest)
        return None if model is None or model.duty is None else model.duty.runner

    def has_standby(self, digest: str | None) -> bool:
        """Tell whether a second runner of the model is warm and would take over."""
        model = None if digest is None else self._models.get(digest)
        standby = None if model is None else model.standby
        return standby is not None and standby.state is RunnerState.READY

    def load(
        self, load: Load, *, proven_fingerprint: str | None, at_idle_priority: bool, now_ns: int
    ) -> Refused | None:
        """Load a model unless it is loaded; one that was refused is tried anew.

        Returns:
            Why it cannot be loaded; None when it is, or is under way.
        """
        model = self._models.get(load.digest)
        if model is not None and model.state is not RunnerState.REFUSED:
            return None
        if model is None and len(self._models) >= MAX_MODELS:
            return Refused(reason="TOO_MANY", message=f"{MAX_MODELS} models are loaded already")
        self._models[load.digest] = PooledModel(
            load=load,
            proven_fingerprint=None if load.golden else proven_fingerprint,
            at_idle_priority=at_idle_priority,
            starts=StartHistory(due_ns=now_ns),
        )
        return None

    def drop(self, digest: str) -> int | None:
        """End a model's runners and forget it; return the number of the one on duty, if any."""
        model = self._models.pop(digest, None)
        if model is None:
            return None
        for process in model.processes:
            self._starter.end(process)
        return None if model.duty is None else model.duty.runner

    def dispatch(self, runner: int, job: Job) -> bool:
        """Ring the bell of *runner*; False when it is gone (its end is reported separately)."""
        process = self._on_duty(runner)
        return process is not None and process.link.dispatch(job)

    def kill(self, runner: int, why: str) -> None:
        """End a runner that hangs; it is replaced in the next `tick`, which waits for nothing."""
        process = self._on_duty(runner)
        if process is not None:
            process.killed_why = why
            process.link.kill()

    def receive(self, process: RunnerProcess, now_ns: int) -> list[RunnerEvent]:
        """Return what *process* says."""
        model = next((each for each in self._models.values() if process in each.processes), None)
        message = None if model is None else process.link.receive()
        if model is None or message is None:
            return []
        try:
            return self._understand(model, process, message, now_ns)
        except (DoorbellError, ContractError) as error:
            process.killed_why = f"speaks nonsense: {error}"
            return self._lose(model, process, now_ns)

    def tick(self, live: str | None, now_ns: int, *, is_gap: bool) -> list[RunnerEvent]:
        """Start what is due, probe, give up what takes too long, reap what has ended.

        Args:
            live: The model that judges.
            now_ns: The time.
            is_gap: No part is open and none is in flight.
        """
        if live != self._live and self._live is not None:
            self._swapped_ns = now_ns
        self._live = live
        self._starter.reap()
        is_free = is_gap or self.state(live) is not RunnerState.READY
        events: list[RunnerEvent] = []
        for model in list(self._models.values()):
            for process in model.processes:
                events += self._watch(model, process, now_ns)
            may_start = is_free and not self._gives_way(model)
            self._start_due(model, now_ns, is_free=may_start, events=events)
        self._tend_standbys(now_ns, is_free=is_free, events=events)
        if is_free:
            self._probe_next(now_ns)
        self._realtime.tend(self._models.values(), live)
        return events

    def close(self) -> None:
        """End all runners."""
        for digest in list(self._models):
            self.drop(digest)

    def _on_duty(self, runner: int) -> RunnerProcess | None:
        processes = (model.duty for model in self._models.values())
        return next((each for each in processes if each and each.runner == runner), None)

    def _watch(self, model: PooledModel, process: RunnerProcess, now_ns: int) -> list[RunnerEvent]:
        """Lose what was killed or does not get on."""
        process.killed_why = process.killed_why or patience.stuck(process, now_ns)
        if process.killed_why:
            return self._lose(model, process, now_ns)
        refused = patience.overdue(process, now_ns)
        return [] if refused is None else self._turn_down(model, process, refused, now_ns)

    def _gives_way(self, model: PooledModel) -> bool:
        """Tell whether a start of *model* would hold up the live one's, for which parts wait.

        When all runners have died at once, two that start side by side take twice as long.
        """
        return model.load.digest != self._live and self.state(self._live) in _COMING

    def _start_due(
        self, model: PooledModel, now_ns: int, *, is_free: bool, events: list[RunnerEvent]
    ) -> None:
        # With the live model refused, any other may be the way out: its slot may be back by now.
        is_needed = model.load.digest == self._live or self.state(self._live) is RunnerState.REFUSED
        if model.is_refused and is_needed and now_ns - model.refused_ns >= REFUSED_RETRY_NS:
            model.is_refused = False
        is_due = patience.is_due(model.starts.due_ns, now_ns, is_free=is_free)
        if model.state is not RunnerState.WAITING or not is_due:
            return
        try:
            idle = model.at_idle_priority
            model.duty = self._starter.start(model, now_ns, at_idle_priority=idle)
        except OSError as error:
            events += self._lose_duty(model, f"its process cannot start: {error}", now_ns)

    def _tend_standbys(self, now_ns: int, *, is_free: bool, events: list[RunnerEvent]) -> None:
        """Give the live model a second runner, and take it from what is not live any more."""
        for digest, model in self._models.items():
            if model.standby is not None and digest != self._live:
                self._starter.end(model.standby)
                model.standby = None
        live = None if self._live is None else self._models.get(self._live)
        if live is None or not self._is_standby_wanted(live, now_ns):
            self._wanted_since_ns = None
            return
        if self._wanted_since_ns is None:
            self._wanted_since_ns = now_ns
        if not patience.is_due(self._wanted_since_ns, now_ns, is_free=is_free):
            return
        try:
            live.standby = self._starter.start(live, now_ns, at_idle_priority=True)
        except OSError as error:
            events += self._lose_standby(live, f"its process cannot start: {error}", now_ns)

    def _is_standby_wanted(self, live: PooledModel, now_ns: int) -> bool:
        """A standby comes last: after the live runner, and after whatever else is loading."""
        if not self._has_standby or live.standby or live.state is not RunnerState.READY:
            return False
        if now_ns < live.standby_starts.due_ns or patience.is_fresh(self._swapped_ns, now_ns):
            return False
        return all(process.state not in _BUSY for process in self.listening())

    def _probe_next(self, now_ns: int) -> None:
        """Let one runner make one run of its probe."""
        processes = self.listening()
        if any(process.probe_sent_ns is not None for process in processes):
            return
        waiting = next((process for process in processes if process.wants_gap), None)
        if waiting is not None:
            waiting.probe(now_ns)

    def _understand(
        self, model: PooledModel, process: RunnerProcess, message: bytes, now_ns: int
    ) -> list[RunnerEvent]:
        kind = message[:1]
        if kind == doorbell.ANSWER:
            answer = doorbell.unpack_answer(message)
            return [Answered(runner=process.runner, answer=answer)]
        if kind == doorbell.PROBED:
            doorbell.unpack_probed(message)
            process.ask_for_gap(now_ns)
            return []
        if kind == doorbell.READY:
            return self._come_up(model, process, decode(Ready, message[1:]), now_ns)
        if kind == doorbell.REFUSED:
            return self._turn_down(model, process, decode(Refused, message[1:]), now_ns)
        if message:
            raise DoorbellError(f"unknown kind {kind!r}")
        return self._lose(model, process, now_ns)

    def _come_up(
        self, model: PooledModel, process: RunnerProcess, ready: Ready, now_ns: int
    ) -> list[RunnerEvent]:
        process.come_up(ready, now_ns)
        model.proven_fingerprint = ready.fingerprint
        if process is model.standby:
            return []
        model.refused = None
        return [CameUp(runner=process.runner, ready=ready)]

    def _turn_down(
        self, model: PooledModel, process: RunnerProcess, refused: Refused, now_ns: int
    ) -> list[RunnerEvent]:
        if process is model.standby:
            return self._lose_standby(model, f"{refused.reason}: {refused.message}", now_ns)
        self._starter.end(process)
        model.duty = None
        return [self._give_up(model, process.runner, refused, now_ns)]

    def _give_up(
        self, model: PooledModel, runner: int, refused: Refused, now_ns: int
    ) -> TurnedDown:
        model.is_refused, model.refused, model.refused_ns = True, refused, now_ns
        return TurnedDown(runner=runner, digest=model.load.digest, refused=refused)

    def _lose(self, model: PooledModel, process: RunnerProcess, now_ns: int) -> list[RunnerEvent]:
        """Take the end of a runner in."""
        failure = process.link.failure
        ended = f"its process cannot start: {failure}" if failure else "its process ended"
        why = process.killed_why or ended
        if process is model.standby:
            return self._lose_standby(model, why, now_ns)
        return self._lose_duty(model, why, now_ns)

    def _lose_standby(self, model: PooledModel, why: str, now_ns: int) -> list[RunnerEvent]:
        standby, model.standby = model.standby, None
        model.standby_starts.fail(standby, now_ns)
        if standby is not None:
            self._starter.end(standby)
        runner = self._starter.last_runner if standby is None else standby.runner
        return [_went_down(model, runner, f"standby: {why}", was_killed=False)]

    def _lose_duty(self, model: PooledModel, why: str, now_ns: int) -> list[RunnerEvent]:
        """Seat the standby, or decide when the next runner starts."""
        duty, standby = model.duty, model.standby
        if duty is not None:
            self._starter.end(duty)
        was_killed = duty is not None and bool(duty.killed_why)
        model.starts.fail(duty, now_ns)
        model.deaths += 1
        model.duty = model.standby = None
        runner = self._starter.last_runner if duty is None else duty.runner
        down = _went_down(model, runner, why, was_killed=was_killed)
        if standby is not None and standby.ready is not None:
            model.duty, model.standby_starts.due_ns = standby, model.starts.due_ns
            return [CameUp(runner=standby.runner, ready=standby.ready), down]
        if standby is not None:
            self._starter.end(standby)  # a fresh start has full priority and may well be up earlier
        if model.starts.failures >= MAX_TRIES and model.load.digest != self._live:
            refused = Refused(reason="DIED", message=why[:500])
            return [self._give_up(model, runner, refused, now_ns)]
        if duty is not None and duty.ready is not None:
            model.at_idle_priority = False
        return [down]


def _went_down(model: PooledModel, runner: int, why: str, *, was_killed: bool) -> WentDown:
    return WentDown(runner=runner, digest=model.load.digest, why=why, was_killed=was_killed)
