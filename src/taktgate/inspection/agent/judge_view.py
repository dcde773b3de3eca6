"""What the judge said last, and what follows from its silence."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from taktgate.contracts.activation import SlotRef
from taktgate.contracts.twins import TypedError
from taktgate.edge.clock import SECOND
from taktgate.inspection.control import JudgeStatus, LoadedModel, RunnerState

PATIENCE_NS: Final = 3 * SECOND
"""The judge speaks once a second; a runner is replaced within two."""
NOT_READY: Final = "NOT_READY"


class JudgeView:
    """The judge as the agent sees it: a status holds for a few seconds only."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self.status: JudgeStatus | None = None
        self._clock = clock
        self._heard_ns = self._ready_ns = clock()

    def take(self, status: JudgeStatus) -> None:
        """Take in what the judge says is."""
        self.status, self._heard_ns = status, self._clock()

    def forget(self, digest: str) -> None:
        """Count no more on a model that is being dropped, whatever the last status says of it."""
        if self.status is not None:
            held = tuple(model for model in self.status.models if model.digest != digest)
            self.status = replace(self.status, models=held)

    @property
    def is_silent(self) -> bool:
        """Return True when the judge has not spoken for so long that nothing is known of it."""
        return self._clock() - self._heard_ns > PATIENCE_NS

    @property
    def is_ready(self) -> bool:
        """Return True while a part could be judged."""
        live = self.live_model
        is_up = live is not None and live.state is RunnerState.READY
        return is_up and self.status is not None and self.status.is_ready

    @property
    def is_line_enabled(self) -> bool | None:
        """Return the line's Enable; None while it is not known."""
        return None if self.status is None or self.is_silent else self.status.is_enabled

    @property
    def is_line_off(self) -> bool:
        """Return True only when the line is known to be disabled: not knowing is no permission."""
        return self.is_line_enabled is False

    @property
    def rights(self) -> dict[str, bool]:
        """Return which real-time rights the judge has; nothing while it is not known."""
        return {} if self.status is None or self.is_silent else self.status.rights

    @property
    def has_all_rights(self) -> bool:
        """Return True only when it is known that no real-time right is missing."""
        return bool(self.rights) and all(self.rights.values())

    @property
    def models(self) -> tuple[LoadedModel, ...]:
        """Return what the judge holds."""
        return () if self.status is None else self.status.models

    @property
    def live_model(self) -> LoadedModel | None:
        """Return the model that judges; None when none does or the judge is silent."""
        if self.status is None or self.is_silent:
            return None
        return self.model(self.status.live)

    def model(self, digest: str | None) -> LoadedModel | None:
        """Return what the judge holds of *digest*."""
        return next((model for model in self.models if model.digest == digest), None)

    def is_live(self, ref: SlotRef | None) -> bool:
        """Tell whether *ref* was what judges when the judge spoke last."""
        live = None if self.status is None else self.status.live
        return ref is not None and ref.model.digest == live

    def fault(self) -> TypedError | None:
        """Return why no part can be judged, once that has lasted."""
        if self.is_silent:
            return TypedError(reason=NOT_READY, message="judge silent")
        now_ns = self._clock()
        if self.is_ready:
            self._ready_ns = now_ns
        if self.status is None or now_ns - self._ready_ns <= PATIENCE_NS:
            return None
        message = self.status.reason or "the runner of the live model is not ready"
        return TypedError(reason=NOT_READY, message=message[:500])
