"""The judge's loop: one thread, one `select`, everything non-blocking.

It carries events to the pure judge and its actions out to runners, lanes and ring. No disk and no
cloud after the start: the agent may be slow, absent or restarting, and no part notices.

A turn works in this order: deadlines, triggers, runners' answers, deadlines, camera, deadlines, the
agent's commands, deadlines, then what may wait (runners to start, beat, status). Each of these is
bounded, by MAX_IN_A_TURN messages or by the camera port's bytes a turn, and what is left over makes
the next `select` return at once: so no deadline waits longer than for one of them, some 0.5 ms.
Processes are started by the spawner, and nobody waits for them.
"""

import logging
import select
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from taktgate.contracts.codec import encode
from taktgate.contracts.outcome import Lane
from taktgate.edge.clock import MILLISECOND, SECOND, monotonic_ns
from taktgate.edge.lane import LaneInbox
from taktgate.edge.logs import lost_lines
from taktgate.edge.process import RealtimeRights
from taktgate.inspection import control
from taktgate.inspection.control import Happening, Load, Ready
from taktgate.inspection.frames.camera import CameraEvent, CameraUp, Frame, FrameSource
from taktgate.inspection.frames.evidence import EvidenceMemory
from taktgate.inspection.frames.ring import FrameRing
from taktgate.inspection.judge.actions import (
    Action,
    BreakerMoved,
    Dispatch,
    Done,
    Doubt,
    Expose,
    Kill,
    Publish,
    Release,
)
from taktgate.inspection.judge.aftermath import Aftermath
from taktgate.inspection.judge.commands import Commands
from taktgate.inspection.judge.health import Health
from taktgate.inspection.judge.line_intake import LineIntake
from taktgate.inspection.judge.notes import PartNotes
from taktgate.inspection.judge.parts import Identity
from taktgate.inspection.judge.rules import Judge
from taktgate.inspection.judge.shadow import Shadow, is_shadows
from taktgate.inspection.judge.shadowing import Shadowing
from taktgate.inspection.judge.signs import Outlets, Signs
from taktgate.inspection.judge.turn_watch import TurnWatch
from taktgate.inspection.pool.events import (
    Answered,
    CameUp,
    RunnerEvent,
    TurnedDown,
    WentDown,
)
from taktgate.inspection.pool.pool import RunnerPool
from taktgate.inspection.spawning.port import Starter

log = logging.getLogger(__name__)

BEAT_NS: Final = 100 * MILLISECOND
STATUS_NS: Final = 1 * SECOND
MAX_IN_A_TURN: Final = 8
"""Messages of one kind; each takes some 0.1 ms at most."""


class _Waitable(Protocol):
    def fileno(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Inboxes:
    """Line states from the writer or the agent, and the agent's commands."""

    line: LaneInbox
    commands: LaneInbox


class JudgeLoop:
    """Runs one judge."""

    def __init__(
        self,
        identity: Identity,
        *,
        judge: Judge,
        pool: RunnerPool,
        ring: FrameRing,
        starter: Starter,
        camera: FrameSource,
        inboxes: Inboxes,
        outlets: Outlets,
        evidence: EvidenceMemory,
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        self._identity = identity
        self._judge = judge
        self._pool = pool
        self._ring = ring
        self._starter = starter
        self._camera = camera
        self._inboxes = inboxes
        self._outlets = outlets
        self._clock = clock
        self._evidence = evidence
        self._notes = PartNotes(
            identity.judge_start_id,
            ring=ring,
            evidence=evidence,
            agent=outlets.agent,
        )
        self._shadow = Shadowing(
            Shadow(identity.judge_start_id),
            ring=ring,
            runners=pool,
            agent=outlets.agent,
            is_frame_under_way=judge.is_frame_under_way,
            clock=clock,
        )
        self._aftermath = Aftermath(self._notes, self._shadow)
        self._signs = Signs(identity=identity, outlets=outlets, clock=clock)
        self._intake = LineIntake(station=identity.station, kernel_boot_id=identity.kernel_boot_id)
        self._lanes = frozenset(
            {Lane.EDGEHUB} if outlets.writer is None else {Lane.LOCAL, Lane.EDGEHUB}
        )
        self._health = Health(
            identity=identity,
            judge=judge,
            pool=pool,
            ring=ring,
            camera=camera,
            intake=self._intake,
            outlets=outlets,
            shadow=self._shadow,
            losses=self._losses,
        )
        self._handlers: dict[type[Action], Callable[[Any], None]] = {
            Publish: self._publish,
            Expose: lambda action: camera.trigger(action.trigger_id),
            Dispatch: self._dispatch,
            Done: self._aftermath.take,
            Release: lambda action: ring.release(action.slot),
            Kill: lambda action: pool.kill(action.runner, action.why),
            Doubt: _say_doubt,
            BreakerMoved: self._say_breaker,
        }
        self._commands = Commands(
            judge=judge, pool=pool, shadow=self._shadow, signs=self._signs, act=self._act
        )
        self._beat_due_ns = 0
        self._status_due_ns = 0
        self._is_stopping = False
        self._ignored_lane = 0
        self._turns = TurnWatch()

    def has_rights(self, rights: RealtimeRights) -> None:
        """Say from now on which real-time rights this process has."""
        self._health.rights = rights

    def stop(self) -> None:
        """End `run` after its current turn."""
        self._is_stopping = True

    def start_with(self, load: Load | None, proven_fingerprint: str | None) -> None:
        """Load the last-known-good model and make it live; None: there is none."""
        if load is None:
            return
        self._pool.load(
            load,
            proven_fingerprint=proven_fingerprint,
            at_idle_priority=False,
            now_ns=self._clock(),
        )
        self._judge.swap(load.digest, self._clock())

    def run(self) -> None:
        """Judge until `stop`."""
        while not self._is_stopping:
            self.turn()

    def close(self) -> None:
        """End the runners and remove the inboxes."""
        self._pool.close()
        self._camera.close()
        self._starter.close()
        self._inboxes.line.close()
        self._inboxes.commands.close()
        self._evidence.close()

    def turn(self) -> None:
        """Wait for the next event or time, and do what it asks for. Triggers go first."""
        runners = self._pool.listening()
        camera = [self._camera] if self._camera.fileno() >= 0 else []
        starter = [self._starter] if self._starter.fileno() >= 0 else []
        readers: list[_Waitable] = [
            self._inboxes.line,
            self._inboxes.commands,
            self._evidence,
            *runners,
            *camera,
            *starter,
        ]
        writers: list[_Waitable] = [*camera] if self._camera.wants_write else []
        # select, not epoll: its timeout is finer than a millisecond, and deadlines are kept by it.
        readable, writable, _ = select.select(readers, writers, [], self._timeout_s())
        now_ns = self._clock()
        self._keep_deadlines()
        if self._inboxes.line in readable:
            self._read_line()
        if starter and self._starter in readable:
            self._starter.advance(now_ns)  # why a runner could not start is known before its end
        for runner in runners:
            if runner in readable:
                self._on_runner_events(self._pool.receive(runner, now_ns), now_ns)
        self._keep_deadlines()
        if readable or writable or self._is_due(self._camera.wake_ns, now_ns):
            self._on_camera(self._camera.advance(now_ns))
        self._keep_deadlines()
        if self._inboxes.commands in readable:
            self._read_commands(now_ns)
        if self._evidence in readable:
            self._evidence.serve()
        self._tend()
        self._turns.took(now_ns, self._clock())

    def _keep_deadlines(self) -> None:
        """Close what is due, and condemn what hangs."""
        now_ns = self._clock()
        if self._is_due(self._judge.wake_ns(), now_ns):
            self._act(self._judge.tick(now_ns))

    def _timeout_s(self) -> float:
        times = (
            self._beat_due_ns,
            self._status_due_ns,
            self._judge.wake_ns(),
            self._camera.wake_ns,
            self._shadow.wake_ns,
        )
        next_ns = min(time for time in times if time is not None)
        return max(0, next_ns - self._clock()) / SECOND

    @staticmethod
    def _is_due(time_ns: int | None, now_ns: int) -> bool:
        return time_ns is not None and time_ns <= now_ns

    def _read_line(self) -> None:
        for _ in range(MAX_IN_A_TURN):
            datagram = self._inboxes.line.receive()
            if datagram is None:
                return
            if datagram.kind != control.KIND_LINE or datagram.lane not in self._lanes:
                self._ignored_lane += 1
                continue
            now_ns = self._clock()  # after the receive: an older moment would lie before the read
            state = self._intake.accept(datagram.payload, now_ns)
            if state is not None:
                self._act(self._judge.line(state, now_ns))

    def _on_camera(self, events: Sequence[CameraEvent]) -> None:
        for event in events:
            now_ns = self._clock()
            if isinstance(event, Frame):
                self._act(self._judge.frame(event, now_ns))
                continue
            fault = None if isinstance(event, CameraUp) else event.reason
            self._health.camera_fault = fault
            self._act(self._judge.camera_reset(now_ns))
            happening = Happening.CAMERA_UP if fault is None else Happening.CAMERA_DOWN
            self._signs.tell(happening, message=fault or "")

    def _on_runner_events(self, events: Sequence[RunnerEvent], now_ns: int) -> None:
        for event in events:
            if isinstance(event, Answered) and is_shadows(event.answer):
                self._shadow.answer(event.runner, event.answer)
            elif isinstance(event, Answered):
                self._act(self._judge.answer(event.runner, event.answer, self._clock()))
            elif isinstance(event, CameUp):
                self._shadow.runner_ready(event.runner, event.ready)
                self._act(self._judge.runner_ready(event.runner, event.ready, now_ns))
                self._signs.tell(Happening.READY, digest=event.ready.model.digest)
                warn_of_shortcomings(event.ready)
            else:
                self._forget_runner(event.runner, now_ns)
                self._report_end(event)

    def _forget_runner(self, runner: int, now_ns: int) -> None:
        self._act(self._judge.runner_gone(runner, now_ns))
        self._shadow.runner_gone(runner)

    def _report_end(self, event: TurnedDown | WentDown) -> None:
        if isinstance(event, TurnedDown):
            self._signs.refused(event.digest, event.refused)
        else:
            self._report_loss(event)

    def _report_loss(self, event: WentDown) -> None:
        log.error("a runner ended", extra={"digest": event.digest, "why": event.why})
        happening = Happening.KILLED if event.was_killed else Happening.DIED
        self._signs.tell(happening, digest=event.digest, message=event.why)

    def _read_commands(self, now_ns: int) -> None:
        for _ in range(MAX_IN_A_TURN):
            datagram = self._inboxes.commands.receive()
            if datagram is None:
                return
            self._commands.take(datagram.kind, datagram.payload, now_ns)

    def _tend(self) -> None:
        """Keep the deadlines, replace runners, send beat and status."""
        now_ns = self._clock()
        self._judge.has_standby = self._pool.has_standby(self._judge.live)
        self._act(self._judge.tick(now_ns))
        self._shadow.tick(now_ns)
        self._commands.tend(now_ns)
        self._starter.advance(now_ns)
        is_gap = self._judge.is_idle()
        self._on_runner_events(self._pool.tick(self._judge.live, now_ns, is_gap=is_gap), now_ns)
        has_news, self._signs.has_news = self._signs.has_news, False
        if has_news or now_ns >= self._beat_due_ns:
            self._beat_due_ns = now_ns + BEAT_NS
            reason = self._health.why_not_ready(now_ns)
            self._signs.beat(is_ready=not reason, reason=reason, model=self._judge.live_model())
        if has_news or now_ns >= self._status_due_ns:
            self._status_due_ns = now_ns + STATUS_NS
            self._signs.status(self._health.status(now_ns))

    def _act(self, actions: Sequence[Action]) -> None:
        for action in actions:
            self._handlers[type(action)](action)

    def _publish(self, action: Publish) -> None:
        payload = encode(action.envelope)
        if self._outlets.send_writer(control.KIND_VERDICT, payload):
            action.part.sent_ns = self._clock()
        self._outlets.agent.send(control.KIND_VERDICT, payload)
        self._notes.published(action.part)

    def _dispatch(self, action: Dispatch) -> None:
        self._pool.dispatch(action.runner, action.job)
        self._commands.note_dispatch()

    def _say_breaker(self, action: BreakerMoved) -> None:
        happening = Happening.BREAKER_OPEN if action.is_open else Happening.BREAKER_CLOSED
        log.warning("the breaker moved", extra={"is_open": action.is_open, "why": action.why})
        self._signs.tell(happening, digest=self._judge.live, message=action.why)

    def _losses(self) -> dict[str, int]:
        return {
            "lane_refused": self._inboxes.line.refused + self._inboxes.commands.refused,
            "lane_switched_off": self._ignored_lane,
            "bad_commands": self._commands.bad,
            **self._starter.counters(),
            **self._turns.counters(),
            "log_lines_lost": lost_lines(),
        }


def _say_doubt(action: Doubt) -> None:
    facts = {"trigger_id": action.trigger_id, "why": action.why}
    log.warning("frame and trigger do not match without doubt", extra=facts)


def warn_of_shortcomings(ready: Ready) -> None:
    """Log what a runner works without; it is reported and in the metrics as well."""
    if ready.is_fallback:
        log.warning("CUDA is built in but not usable", extra={"provider": ready.provider})
    if not ready.has_full_priority:
        log.warning("runtime threads stay at idle priority: grant the ulimit nice, or threads: 1")
