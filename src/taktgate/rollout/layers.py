"""The layered deployment of a plan, as `az iot edge deployment create --layered` takes it. Pure."""

from dataclasses import dataclass, field
from typing import Any, Final

from taktgate.contracts import routes
from taktgate.contracts.twins import ModelOrder, StagingPhase
from taktgate.rollout.plan import RolloutPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layered deployment. After its creation only `target` may change."""

    id: str
    content: dict[str, Any]
    """`{"modulesContent": ...}`."""
    target: str
    priority: int
    labels: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, str] = field(default_factory=dict)
    """Twin queries by name; the portal shows how many devices each one finds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerState:
    """A layer as the hub has it."""

    id: str
    content: dict[str, Any]
    target: str
    priority: int
    etag: str


def layer_of(plan: RolloutPlan, ring: int) -> Layer:
    """Return the layer that gives *plan* to all rings up to number *ring*."""
    return Layer(
        id=plan.layer_id,
        content=content_of(plan),
        target=plan.target(ring),
        priority=plan.rings.layer_priority,
        labels={
            "model": plan.model.name,
            "version": plan.model.version,
            "order": plan.model.order,
            "by": "taktgate",
        },
        metrics=metrics_of(plan.model),
    )


def content_of(plan: RolloutPlan) -> dict[str, Any]:
    """Return the manifest: sub-paths of `model_stager`'s desired properties, and nothing else.

    The empty `$edgeAgent` changes nothing: a live hub was seen to refuse a manifest without one
    (github.com/mwalser/terraform-provider-iothub, CONCEPT.md, appendix D).

    A sub-path is replaced whole, so each one carries all its fields; the base sets the same ones,
    so that withdrawing the layer brings the base's order back.
    """
    model = plan.model
    desired: dict[str, Any] = {
        "properties.desired.model": {
            "name": model.name,
            "version": model.version,
            "order": model.order,
            "activation": model.activation.value,
        }
    }
    if plan.repository is not None:
        desired["properties.desired.repository"] = plan.repository
    return {"modulesContent": {"$edgeAgent": {}, routes.MODEL_STAGER: desired}}


_HAVE_IT: Final = ", ".join(
    f"'{phase}'" for phase in (StagingPhase.STAGED, StagingPhase.TRIAL, StagingPhase.CONFIRMED)
)
"""The phases of a stager whose station holds the ordered model, whatever inference does with it."""


def metrics_of(model: ModelOrder) -> dict[str, str]:
    """Return queries that count stations by what they report about *model*.

    The hub's own "reportedSuccessful" is green as soon as the twin is written: it says nothing
    about the model.
    """
    order = model.order
    modules = "select deviceId from devices.modules where moduleId = "
    judged, staging = f"{modules}'{routes.INFERENCE}'", f"{modules}'{routes.MODEL_STAGER}'"
    inspection, stager = "properties.reported.inspection", "properties.reported.stager"
    good, live = f"{inspection}.lastKnownGood", f"{inspection}.live"
    refusal = f"{inspection}.lastError"
    return {
        "staged": f"{staging} and {stager}.order = '{order}' and {stager}.phase in [{_HAVE_IT}]",
        "confirmed": f"{judged} and {inspection}.confirmedOrder = '{order}' "
        f"and {good}.name = '{model.name}' and {good}.version = '{model.version}' "
        f"and {live}.name = '{model.name}' and {live}.version = '{model.version}' "
        f"and {inspection}.phase = 'live'",
        "rolledBack": f"{judged} and {inspection}.lastRollback.order = '{order}'",
        "failed": f"{staging} and {stager}.order = '{order}' and {stager}.phase = 'failed'",
        "refused": f"{judged} and {refusal}.order = '{order}' and {refusal}.reason != 'WAITING'",
    }
