"""What the agent asks of the judge: load, shadow, swap, drop; each may be repeated without harm."""

import logging
from collections.abc import Callable, Sequence

from taktgate.contracts.codec import ContractError, decode
from taktgate.inspection import control
from taktgate.inspection.control import Drop, Happening, Load, RunnerState, Swap
from taktgate.inspection.judge.actions import Action
from taktgate.inspection.judge.rules import Judge
from taktgate.inspection.judge.shadowing import Shadowing
from taktgate.inspection.judge.signs import Signs
from taktgate.inspection.pool.pool import RunnerPool

log = logging.getLogger(__name__)


class Commands:
    """Obeys at once, or as soon as the runner concerned is through with its frame."""

    def __init__(
        self,
        *,
        judge: Judge,
        pool: RunnerPool,
        shadow: Shadowing,
        signs: Signs,
        act: Callable[[Sequence[Action]], None],
    ) -> None:
        self._judge = judge
        self._pool = pool
        self._shadow = shadow
        self._signs = signs
        self._act = act
        self._leaving: set[str] = set()
        """Models to be dropped as soon as no part waits for their runner."""
        self._awaited: str | None = None
        """The model to swap to as soon as its runner is through with a shadow's frame."""
        self._is_first_part_due = False
        self.bad = 0
        """Commands that were none of ours."""

    def take(self, kind: str, payload: bytes, now_ns: int) -> None:
        """Do what the agent asks; what breaks the contract is logged and counted."""
        try:
            self._obey(kind, payload, now_ns)
        except ContractError as error:
            self.bad += 1
            log.error("command refused", extra={"kind": kind, "error": str(error)})

    def tend(self, now_ns: int) -> None:
        """Do what had to wait for a runner."""
        if self._awaited is not None:
            self._swap(self._awaited, now_ns)
        self._let_go(now_ns)

    def note_dispatch(self) -> None:
        """Tell which part was the first for a model that a swap has brought on."""
        if self._is_first_part_due:
            self._is_first_part_due = False
            self._signs.tell(
                Happening.FIRST_PART,
                digest=self._judge.live,
                first_trigger_id=self._judge.last_dispatched,
            )

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
        elif kind == control.KIND_SHADOW:
            self._shadow.follow(decode(control.Shadow, payload).digest)
            self._signs.has_news = True
        else:
            rule = f"must be load, swap, drop or shadow, got {kind!r}"
            raise ContractError("command", "kind", rule)

    def _load(self, load: Load, now_ns: int) -> None:
        self._leaving.discard(load.digest)
        refused = self._pool.load(
            load,
            proven_fingerprint=None,
            at_idle_priority=self._judge.is_live_ready(),
            now_ns=now_ns,
        )
        if refused is not None:
            self._signs.refused(load.digest, refused)
        self._signs.has_news = True

    def _swap(self, digest: str, now_ns: int) -> None:
        self._awaited = None
        if self._judge.live == digest:
            return
        if self._pool.state(digest) is not RunnerState.READY:
            self._signs.tell(
                Happening.REFUSED,
                digest=digest,
                reason="NOT_LOADED",
                message="only a model whose runner is ready can become live",
            )
            return
        self._leaving.discard(digest)
        if self._shadow.digest == digest:
            self._shadow.follow(None)
        if self._shadow.occupies(digest):
            self._awaited = digest  # it ends with the answer, or with the shadow's time limit
            return
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
                self._shadow.runner_gone(runner)
            self._signs.has_news = True
