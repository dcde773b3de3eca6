"""What the surface answers, as JSON. `/infer` and `/healthz` keep the article's fields."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from taktgate.contracts.codec import Name
from taktgate.contracts.verdict import Reason, Verdict

_FROZEN = ConfigDict(frozen=True)
Share = Annotated[float, Field(ge=0.0, le=1.0)]


class Problem(BaseModel):
    """Why a request was not done. Nothing has changed."""

    model_config = _FROZEN

    detail: str
    """For people: field and rule in one line."""
    field: str = ""
    """The field that is wrong, for example `tensor[17]`; empty for the request as a whole."""
    rule: str = ""
    """The rule that it breaks."""


class InferAnswer(BaseModel):
    """What the model says of one picture. It is no verdict on a part: no PLC hears of it."""

    model_config = _FROZEN

    defective: bool
    """True for all that is not PASS: doubt and failure are never good."""
    score: float | None
    """0 sound .. 1 defective; null when the model gave nothing finite."""
    latency_ms: float
    """From the complete head of the request, before its body is read, to this answer."""
    model_version: str
    """Name and version."""
    correlation_id: str | None = None
    verdict: Verdict
    reason: Reason
    class_scores: dict[str, float]
    decided_by: str | None = None
    """The class that comes closest to its threshold, or lies furthest above it."""
    run_ms: float
    """`session.run` alone."""
    provider: str
    digest: str


class Health(BaseModel):
    """Whether the agent lives, which says nothing about parts: see `/readyz`."""

    model_config = _FROZEN

    status: Literal["ok", "stalled"]
    active_model: str | None
    turned_ms_ago: float
    """Since the agent's loop turned last."""


class Check(BaseModel):
    """One thing that was looked at."""

    model_config = _FROZEN

    name: str
    ok: bool | None
    """Null: it is shown only, and does not count against being ready."""
    detail: str


class Readiness(BaseModel):
    """Whether a part could be judged now, and if not, why."""

    model_config = _FROZEN

    ready: bool
    active_model: str | None
    digest: str | None
    provider: str | None
    phase: str
    last_good_inference_age_s: float | None
    """Since the last part that was decided by scores; null: none since the agent's start."""
    parts: int
    """This and the next two: since the agent's start."""
    deadline_misses: int
    undecided: int
    checks: tuple[Check, ...]
    counters: dict[str, int]


_REQUEST = ConfigDict(frozen=True, extra="forbid", strict=True)
_ModelDigest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class ReloadRequest(BaseModel):
    """Names a bundle that lies verified in a slot: by name and version, or by digest."""

    model_config = _REQUEST

    model_name: (
        Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,127}$", max_length=128)] | None
    ) = None
    digest: _ModelDigest | None = None


class ReloadAnswer(BaseModel):
    """What became of the order."""

    model_config = _FROZEN

    status: Literal["accepted", "unchanged"]
    """`accepted`: the model goes through probe, shadow and trial before it is confirmed."""
    active_model: str | None
    """What judges now, not what was asked for."""
    requested_model: str
    digest: str
    order: str | None
    """The operator's order under which it runs; null when nothing was to be done."""
    phase: str


class EscapeRequest(BaseModel):
    """A part that had passed, and that a person has found defective."""

    model_config = _REQUEST

    trigger_id: Annotated[int, Field(ge=0, le=2**31 - 1)]
    defect_class: Name
    """What it has, by the names of the bundle's classes or a new one."""
    digest: _ModelDigest | None = None
    """The model that passed it; needed only if the part's record is no longer kept."""


class EscapeAnswer(BaseModel):
    """What followed from an escape."""

    model_config = _FROZEN

    status: Literal["noted", "sent back"]
    """`noted`: it is counted, and by guardrails.yaml or for want of a way nobody goes back."""
    trigger_id: int
    digest: str
    """The model that had passed the part."""
    active_model: str | None
    phase: str
    alarm: str
    """The guardrails' alarm that holds now; empty: none."""


class HoldRequest(BaseModel):
    """Says why no new models shall come."""

    model_config = _REQUEST

    reason: Annotated[str, Field(min_length=1, max_length=200)]


class ReleaseRequest(BaseModel):
    """Says nothing: there is one hold, whoever asked for it."""

    model_config = _REQUEST


class HoldAnswer(BaseModel):
    """Whether new models have to wait from now on. Durable."""

    model_config = _FROZEN

    status: Literal["held", "released"]
    reason: str | None


class ClearRequest(BaseModel):
    """Names a model that was sent back here."""

    model_config = _REQUEST

    digest: _ModelDigest


class ClearAnswer(BaseModel):
    """It may be ordered again; the order that was barred begins anew if it still stands."""

    model_config = _FROZEN

    status: Literal["cleared"]
    digest: str
    phase: str
