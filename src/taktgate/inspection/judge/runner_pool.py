"""The runners of one judge: started, watched, replaced. One process per loaded model.

A runner that dies is started again: at once the first time, then with growing pauses. One that
could not even be started counts as dead and is never tried again at once. A model whose runner
keeps dying is given up after a few tries, unless it is the live one: that is tried for ever.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taktgate.contracts.codec import ContractError, decode
from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.inspection import doorbell
from taktgate.inspection.control import (
    Assignment,
    Load,
    LoadedModel,
    Ready,
    Refused,
    RunnerState,
)
from taktgate.inspection.doorbell import Answer, DoorbellError, Job
from taktgate.inspection.frames.ring import FrameRing
from taktgate.inspection.judge.runner_link import RunnerLink

MAX_MODELS: Final = 3
"""Live, candidate, and one that is on its way out."""
MAX_TRIES: Final = 3
LOAD_LIMIT_NS: Final = 60 * SECOND
REFUSED_RETRY_NS: Final = 5 * SECOND
_FIRST_PAUSE_NS: Final = 100 * MILLISECOND
_LONGEST_PAUSE_NS: Final = 5 * SECOND
_MAX_DOUBLINGS: Final = 16
_CALM_NS: Final = 30 * SECOND
"""A runner that lived so long starts with a clean record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """Under which every runner of this station works."""

    slots: Path
    trusted_keys: Path
    device_class: str
    threads: int
    provider: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CameUp:
    """A runner can judge."""

    runner: int
    ready: Ready


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """A runner has answered a job."""

    runner: int
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnedDown:
    """A runner will not judge with its model, and is no more."""

    runner: int
    digest: str
    refused: Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class WentDown:
    """A runner is no more."""

    runner: int
    digest: str
    why: str
    was_killed: bool


RunnerEvent = CameUp | Answered | TurnedDown | WentDown


@dataclass(slots=True, kw_only=True)
class Post:
    """One loaded model and the process that serves it at the moment."""

    load: Load
    proven_fingerprint: str | None
    at_idle_priority: bool
    state: RunnerState = RunnerState.WAITING
    runner: int = 0
    link: RunnerLink | None = None
    since_ns: int = 0
    start_at_ns: int = 0
    failures: int = 0
    deaths: int = 0
    ready: Ready | None = None
    refused: Refused | None = None
    killed_why: str = ""

    def fileno(self) -> int:
        """Return the descriptor to wait on."""
        assert self.link is not None
        return self.link.fileno()


class RunnerPool:
    """All runners; every call returns at once."""

    def __init__(self, terms: Terms, ring: FrameRing) -> None:
        self._terms = terms
        self._ring = ring
        self._posts: dict[str, Post] = {}
        self._ending: list[RunnerLink] = []
        self._last_runner = 0
        self._live: str | None = None

    def listening(self) -> list[Post]:
        """Return the posts whose runner may have something to say."""
        return [post for post in self._posts.values() if post.link is not None]

    def models(self) -> tuple[LoadedModel, ...]:
        """Return what is loaded, as the agent is told."""
        return tuple(
            LoadedModel(
                digest=digest,
                slot=post.load.slot,
                state=post.state,
                pid=None if post.link is None else post.link.pid,
                ready=post.ready,
                refused=post.refused,
                deaths=post.deaths,
            )
            for digest, post in self._posts.items()
        )

    def state(self, digest: str | None) -> RunnerState | None:
        """Return where the model stands, None when it is not loaded."""
        post = None if digest is None else self._posts.get(digest)
        return None if post is None else post.state

    def runner(self, digest: str) -> int | None:
        """Return the number of the runner that serves the model, None while there is none."""
        post = self._posts.get(digest)
        return None if post is None or post.link is None else post.runner

    def load(
        self, load: Load, *, proven_fingerprint: str | None, at_idle_priority: bool, now_ns: int
    ) -> Refused | None:
        """Load a model unless it is loaded; one that was refused is tried anew.

        Returns:
            Why it cannot be loaded; None when it is, or is under way.
        """
        post = self._posts.get(load.digest)
        if post is not None and post.state is not RunnerState.REFUSED:
            return None
        if post is None and len(self._posts) >= MAX_MODELS:
            return Refused(reason="TOO_MANY", message=f"{MAX_MODELS} models are loaded already")
        self._posts[load.digest] = Post(
            load=load,
            proven_fingerprint=None if load.golden else proven_fingerprint,
            at_idle_priority=at_idle_priority,
            start_at_ns=now_ns,
        )
        return None

    def drop(self, digest: str) -> int | None:
        """End a model's runner and forget it; return the runner's number if it had one."""
        post = self._posts.pop(digest, None)
        if post is None or post.link is None:
            return None
        self._end(post)
        return post.runner

    def dispatch(self, runner: int, job: Job) -> bool:
        """Ring the bell of *runner*; False when it is gone (its end is reported separately)."""
        post = self._find(runner)
        return post is not None and post.link is not None and post.link.dispatch(job)

    def kill(self, runner: int, why: str) -> None:
        """End a runner that hangs; it is replaced."""
        post = self._find(runner)
        if post is not None and post.link is not None:
            post.killed_why = why
            post.link.kill()

    def receive(self, post: Post, now_ns: int) -> list[RunnerEvent]:
        """Return what the runner of *post* says."""
        message = None if post.link is None else post.link.receive()
        if message is None:
            return []
        try:
            return self._understand(post, message, now_ns)
        except (DoorbellError, ContractError) as error:
            post.killed_why = f"speaks nonsense: {error}"
            return [self._lose(post, now_ns)]

    def tick(self, live: str | None, now_ns: int) -> list[RunnerEvent]:
        """Start what is due, give up what takes too long, reap what has ended."""
        self._live = live
        self._ending = [link for link in self._ending if not link.reap()]
        events: list[RunnerEvent] = []
        for digest, post in self._posts.items():
            is_retry_due = now_ns - post.since_ns >= REFUSED_RETRY_NS
            if post.state is RunnerState.REFUSED and digest == live and is_retry_due:
                post.state = RunnerState.WAITING
            if post.state is RunnerState.WAITING and now_ns >= post.start_at_ns:
                events += self._start(post, now_ns)
            if post.state is RunnerState.LOADING and now_ns - post.since_ns > LOAD_LIMIT_NS:
                post.killed_why = "loading took too long"
                events.append(self._lose(post, now_ns))
        return events

    def close(self) -> None:
        """End all runners."""
        for digest in list(self._posts):
            self.drop(digest)

    def _find(self, runner: int) -> Post | None:
        return next((post for post in self._posts.values() if post.runner == runner), None)

    def _start(self, post: Post, now_ns: int) -> list[RunnerEvent]:
        terms = self._terms
        assignment = Assignment(
            directory=str(terms.slots / post.load.slot),
            digest=post.load.digest,
            trusted_keys=str(terms.trusted_keys),
            device_class=terms.device_class,
            threads=terms.threads,
            provider=terms.provider,
            proven_fingerprint=post.proven_fingerprint,
            at_idle_priority=post.at_idle_priority,
        )
        self._last_runner += 1
        post.runner = self._last_runner
        post.state, post.since_ns, post.killed_why = RunnerState.LOADING, now_ns, ""
        try:
            post.link = RunnerLink(assignment, self._ring)
        except OSError as error:
            return [self._lose(post, now_ns, start_error=f"its process cannot start: {error}")]
        return []

    def _understand(self, post: Post, message: bytes, now_ns: int) -> list[RunnerEvent]:
        kind = message[:1]
        if kind == doorbell.ANSWER:
            answer = doorbell.unpack_answer(message)
            return [Answered(runner=post.runner, answer=answer)]
        if kind == doorbell.READY:
            ready = decode(Ready, message[1:])
            post.state, post.ready, post.refused = RunnerState.READY, ready, None
            post.since_ns, post.proven_fingerprint = now_ns, ready.fingerprint
            return [CameUp(runner=post.runner, ready=ready)]
        if kind == doorbell.REFUSED:
            return [self._turn_down(post, decode(Refused, message[1:]), now_ns)]
        if message:
            raise DoorbellError(f"unknown kind {kind!r}")
        return [self._lose(post, now_ns)]

    def _turn_down(self, post: Post, refused: Refused, now_ns: int) -> RunnerEvent:
        self._end(post)
        post.state, post.refused, post.ready = RunnerState.REFUSED, refused, None
        post.since_ns = now_ns
        return TurnedDown(runner=post.runner, digest=post.load.digest, refused=refused)

    def _lose(self, post: Post, now_ns: int, *, start_error: str = "") -> RunnerEvent:
        """Take the end of a runner in, and decide when the next one starts."""
        self._end(post)
        was_up = post.state is RunnerState.READY
        is_calm = was_up and now_ns - post.since_ns > _CALM_NS
        post.failures = 1 if is_calm else post.failures + 1
        post.deaths += 1
        post.ready = None
        why = start_error or post.killed_why or "its process ended"
        if post.failures >= MAX_TRIES and post.load.digest != self._live:
            return self._turn_down(post, Refused(reason="DIED", message=why[:500]), now_ns)
        post.state, post.since_ns = RunnerState.WAITING, now_ns
        is_at_once = post.failures == 1 and not start_error
        post.start_at_ns = now_ns + (0 if is_at_once else _pause_ns(post.failures))
        post.at_idle_priority = post.at_idle_priority and not was_up
        return WentDown(
            runner=post.runner,
            digest=post.load.digest,
            why=why,
            was_killed=bool(post.killed_why),
        )

    def _end(self, post: Post) -> None:
        if post.link is not None:
            post.link.close()
            self._ending.append(post.link)
            post.link = None


def _pause_ns(failures: int) -> int:
    """Return how long to wait after so many failures in a row."""
    doublings = min(max(0, failures - 2), _MAX_DOUBLINGS)
    return min(_FIRST_PAUSE_NS << doublings, _LONGEST_PAUSE_NS)
