"""The judge's loop: one thread, one `select`, everything non-blocking.

It carries events to the pure judge and its actions out to runners, lanes and ring. No disk and no
cloud after the start: the agent may be slow, absent or restarting, and no part notices.
"""

import logging
import select
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from taktgate.contracts.codec import ContractError, decode, encode
from taktgate.contracts.outcome import Lane
from taktgate.edge.clock import MILLISECOND, SECOND, monotonic_ns
from taktgate.edge.lane import LaneInbox
from taktgate.inspection import control
from taktgate.inspection.control import Drop, Happening, JudgeStatus, Load, Ready, Refused, Swap
from taktgate.inspection.frames.camera import CameraEvent, CameraUp, Frame, FrameSource
from taktgate.inspection.frames.ring import FrameRing
from taktgate.inspection.judge.aftermath import Aftermath
from taktgate.inspection.judge.line_intake import LineIntake
from taktgate.inspection.judge.parts import Identity
from taktgate.inspection.judge.rules import Action, Dispatch, Done, Judge, Kill, Publish, Release
from taktgate.inspection.judge.runner_pool import (
    Answered,
    CameUp,
    RunnerEvent,
    RunnerPool,
    TurnedDown,
    WentDown,
)
from taktgate.inspection.judge.signs import Outlets, Signs

log = logging.getLogger(__name__)

BEAT_NS: Final = 100 * MILLISECOND
STATUS_NS: Final = 1 * SECOND
LINE_LIMIT_NS: Final = 1 * SECOND
"""Without a line state for so long there is no trigger to judge by. The writer repeats at 10 Hz."""
MAX_IN_A_TURN: Final = 32


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
        camera: FrameSource,
        inboxes: Inboxes,
        outlets: Outlets,
        clock: Callable[[], int] = monotonic_ns,
    ) -> None:
        self._identity = identity
        self._judge = judge
        self._pool = pool
        self._ring = ring
        self._camera = camera
        self._inboxes = inboxes
        self._outlets = outlets
        self._clock = clock
        self._aftermath = Aftermath(ring)
        self._signs = Signs(identity=identity, outlets=outlets, clock=clock)
        self._intake = LineIntake(station=identity.station, kernel_boot_id=identity.kernel_boot_id)
        self._lanes = frozenset(
            {Lane.EDGEHUB} if outlets.writer is None else {Lane.LOCAL, Lane.EDGEHUB}
        )
        self._is_camera_up = False
        self._camera_reason = "camera not connected yet"
        self._is_first_part_due = False
        self._leaving: set[str] = set()
        """Models to be dropped as soon as no part waits for their runner."""
        self._beat_due_ns = 0
        self._status_due_ns = 0
        self._is_stopping = False
        self._ignored_lane = 0
        self._bad_commands = 0

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
        self._inboxes.line.close()
        self._inboxes.commands.close()

    def turn(self) -> None:
        """Wait for the next event or time, and do what it asks for. Triggers go first."""
        posts = self._pool.listening()
        camera = [self._camera] if self._camera.fileno() >= 0 else []
        readers: list[_Waitable] = [
            self._inboxes.line,
            self._inboxes.commands,
            *posts,
            *camera,
        ]
        writers: list[_Waitable] = [*camera] if self._camera.wants_write else []
        # select, not epoll: its timeout is finer than a millisecond, and deadlines are kept by it.
        readable, writable, _ = select.select(readers, writers, [], self._timeout_s())
        now_ns = self._clock()
        if self._inboxes.line in readable:
            self._read_line()
        for post in posts:
            if post in readable:
                self._on_runner_events(self._pool.receive(post, now_ns), now_ns)
        if readable or writable or self._is_due(self._camera.wake_ns, now_ns):
            self._on_camera(self._camera.advance(now_ns))
        if self._inboxes.commands in readable:
            self._read_commands(now_ns)
        self._tend()

    def _timeout_s(self) -> float:
        times = (
            self._beat_due_ns,
            self._status_due_ns,
            self._judge.wake_ns(),
            self._camera.wake_ns,
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
            self._is_camera_up = isinstance(event, CameraUp)
            self._camera_reason = "" if isinstance(event, CameraUp) else event.reason
            self._act(self._judge.camera_reset(now_ns))
            happening = Happening.CAMERA_UP if self._is_camera_up else Happening.CAMERA_DOWN
            self._signs.tell(happening, message=self._camera_reason)

    def _on_runner_events(self, events: Sequence[RunnerEvent], now_ns: int) -> None:
        for event in events:
            if isinstance(event, Answered):
                self._act(self._judge.answer(event.runner, event.answer, self._clock()))
            elif isinstance(event, CameUp):
                self._act(self._judge.runner_ready(event.runner, event.ready, now_ns))
                self._signs.tell(Happening.READY, digest=event.ready.model.digest)
                warn_of_shortcomings(event.ready)
            else:
                self._act(self._judge.runner_gone(event.runner, now_ns))
                self._report_end(event)

    def _report_end(self, event: TurnedDown | WentDown) -> None:
        if isinstance(event, TurnedDown):
            self._tell_refused(event.digest, event.refused)
        else:
            self._report_loss(event)

    def _tell_refused(self, digest: str, refused: Refused) -> None:
        self._signs.tell(
            Happening.REFUSED, digest=digest, reason=refused.reason, message=refused.message
        )

    def _report_loss(self, event: WentDown) -> None:
        log.error("a runner ended", extra={"digest": event.digest, "why": event.why})
        happening = Happening.KILLED if event.was_killed else Happening.DIED
        self._signs.tell(happening, digest=event.digest, message=event.why)

    def _read_commands(self, now_ns: int) -> None:
        for _ in range(MAX_IN_A_TURN):
            datagram = self._inboxes.commands.receive()
            if datagram is None:
                return
            try:
                self._obey(datagram.kind, datagram.payload, now_ns)
            except ContractError as error:
                self._bad_commands += 1
                log.error("command refused", extra={"kind": datagram.kind, "error": str(error)})

    def _obey(self, kind: str, payload: bytes, now_ns: int) -> None:
        """Do what the agent asks.

        Raises:
            ContractError: the command is none of ours.
        """
        if kind == control.KIND_LOAD:
            self._load(decode(Load, payload), now_ns)
        elif kind == control.KIND_SWAP:
            self._swap(decode(Swap, payload).digest, now_ns)
        elif kind == control.KIND_DROP:
            self._drop(decode(Drop, payload), now_ns)
        else:
            raise ContractError("command", "kind", f"must be load, swap or drop, got {kind!r}")

    def _load(self, load: Load, now_ns: int) -> None:
        self._leaving.discard(load.digest)
        refused = self._pool.load(
            load,
            proven_fingerprint=None,
            at_idle_priority=self._judge.is_live_ready(),
            now_ns=now_ns,
        )
        if refused is not None:
            self._tell_refused(load.digest, refused)
        self._signs.has_news = True

    def _swap(self, digest: str, now_ns: int) -> None:
        if self._judge.live == digest:
            return
        if self._pool.state(digest) is not control.RunnerState.READY:
            self._signs.tell(
                Happening.REFUSED,
                digest=digest,
                reason="NOT_LOADED",
                message="only a model whose runner is ready can become live",
            )
            return
        self._leaving.discard(digest)
        self._is_first_part_due = True
        actions = self._judge.swap(digest, now_ns)
        log.info("model is live from the next part on", extra={"digest": digest})
        self._signs.tell(Happening.SWAPPED, digest=digest)
        self._act(actions)

    def _drop(self, drop: Drop, now_ns: int) -> None:
        if self._judge.live == drop.digest:
            if not drop.even_if_live:
                log.error("the live model cannot be dropped", extra={"digest": drop.digest})
                return
            log.warning("no model judges from the next part on", extra={"digest": drop.digest})
            self._act(self._judge.swap(None, now_ns))
        self._leaving.add(drop.digest)
        self._let_go(now_ns)

    def _let_go(self, now_ns: int) -> None:
        """Drop what is to be dropped, but not the runner whose answer a part still waits for."""
        for digest in list(self._leaving):
            runner = self._pool.runner(digest)
            if runner is not None and self._judge.has_part(runner):
                continue  # it ends with an answer, the runner's death or the decision deadline
            self._leaving.discard(digest)
            self._pool.drop(digest)
            if runner is not None:
                self._act(self._judge.runner_gone(runner, now_ns))
            self._signs.has_news = True

    def _tend(self) -> None:
        """Keep the deadlines, replace runners, send beat and status."""
        now_ns = self._clock()
        self._act(self._judge.tick(now_ns))
        self._let_go(now_ns)
        self._on_runner_events(self._pool.tick(self._judge.live, now_ns), now_ns)
        has_news, self._signs.has_news = self._signs.has_news, False
        if has_news or now_ns >= self._beat_due_ns:
            self._beat_due_ns = now_ns + BEAT_NS
            is_ready, reason = self._health(now_ns)
            self._signs.beat(is_ready=is_ready, reason=reason, model=self._judge.live_model())
        if has_news or now_ns >= self._status_due_ns:
            self._status_due_ns = now_ns + STATUS_NS
            self._signs.status(self._status(now_ns))

    def _act(self, actions: Sequence[Action]) -> None:
        for action in actions:
            if isinstance(action, Publish):
                self._publish(action)
            elif isinstance(action, Dispatch):
                self._dispatch(action)
            elif isinstance(action, Done):
                self._aftermath.take(action)
            elif isinstance(action, Release):
                self._ring.release(action.slot)
            elif isinstance(action, Kill):
                self._pool.kill(action.runner, action.why)
            else:
                facts = {"trigger_id": action.trigger_id, "why": action.why}
                log.warning("frame and trigger do not match without doubt", extra=facts)

    def _publish(self, action: Publish) -> None:
        self._outlets.send_both(control.KIND_VERDICT, encode(action.envelope))

    def _dispatch(self, action: Dispatch) -> None:
        self._pool.dispatch(action.runner, action.job)
        if self._is_first_part_due:
            self._is_first_part_due = False
            self._signs.tell(
                Happening.FIRST_PART,
                digest=self._judge.live,
                first_trigger_id=self._judge.last_dispatched,
            )

    def _health(self, now_ns: int) -> tuple[bool, str]:
        """Return whether a part could be judged now, and if not, why."""
        live = self._judge.live
        if live is None:
            return False, "no model is live"
        if not self._judge.is_live_ready():
            return False, f"the live model is {self._pool.state(live) or 'not loaded'}"
        if not self._is_camera_up:
            return False, f"no camera: {self._camera_reason}"[:200]
        if self._ring.free == 0:
            return False, "no free slot for a frame"
        if not self._is_line_fresh(now_ns):
            return False, "no line state from the PLC writer"
        return True, ""

    def _is_line_fresh(self, now_ns: int) -> bool:
        return self._intake.is_fresh(now_ns, LINE_LIMIT_NS)

    def _status(self, now_ns: int) -> JudgeStatus:
        is_ready, reason = self._health(now_ns)
        return JudgeStatus(
            judge_start_id=self._identity.judge_start_id,
            live=self._judge.live,
            models=self._pool.models(),
            is_ready=is_ready,
            reason=reason,
            is_enabled=self._judge.is_enabled if self._is_line_fresh(now_ns) else None,
            counters=self._counters(),
        )

    def _counters(self) -> dict[str, int]:
        writer = self._outlets.writer
        return {
            "late_answers": self._judge.late_answers,
            "discarded_frames": self._judge.discarded_frames,
            "frame_resyncs": self._judge.resyncs,
            "free_slots": self._ring.free,
            "lane_lost_writer": 0 if writer is None else writer.lost,
            "lane_lost_agent": self._outlets.agent.lost,
            "lane_refused": self._inboxes.line.refused + self._inboxes.commands.refused,
            "lane_switched_off": self._ignored_lane,
            "bad_commands": self._bad_commands,
            **{f"camera_{name}": count for name, count in self._camera.counters().items()},
            **{f"line_{cause}": count for cause, count in self._intake.counters.items()},
        }


def warn_of_shortcomings(ready: Ready) -> None:
    """Log what a runner works without; it is reported and in the metrics as well."""
    if ready.is_fallback:
        log.warning("CUDA is built in but not usable", extra={"provider": ready.provider})
    if not ready.has_full_priority:
        log.warning("runtime threads stay at idle priority: grant the ulimit nice, or threads: 1")
