"""What the stations' reports say about a model. Pure.

Four answers, not two: a measurement that failed is an ERROR, too little data is INCONCLUSIVE, and
neither is success. A failure that was seen stands, whatever else could not be measured.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from taktgate.contracts.codec import ContractError, parse
from taktgate.contracts.model import ModelRef
from taktgate.contracts.twins import (
    InspectionPhase,
    InspectionReported,
    ModelOrder,
    StagerReported,
    StagingPhase,
)
from taktgate.rollout.plan import Ring


class StationState(StrEnum):
    """What one station reports about the order."""

    PENDING = "pending"
    """Nothing yet: offline, staging, or in its trial."""
    CONFIRMED = "confirmed"
    """The model earned this station's trust."""
    ROLLED_BACK = "rolledBack"
    """The station went back by itself."""
    NOT_STAGED = "notStaged"
    """The stager gave the order up, the digest is blocked, or inference refuses the model."""
    UNREADABLE = "unreadable"
    """The report breaks the contract: this station cannot be measured."""


BAD = frozenset({StationState.ROLLED_BACK, StationState.NOT_STAGED})
_WAITING: Final = "WAITING"
"""Inference's one reason that is no refusal: the order's activation policy makes it wait."""
_Said = tuple[StationState, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Station:
    """One station of a ring."""

    device_id: str
    ring: str
    state: StationState
    detail: str = ""


class Outcome(StrEnum):
    """What may be concluded about a ring."""

    SUCCESSFUL = "successful"
    FAILED = "failed"
    ERROR = "error"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True, kw_only=True)
class Assessment:
    """The conclusion, why, and the figures behind it."""

    outcome: Outcome
    reason: str
    figures: dict[str, int]
    """Stations by state, and `stations` for all."""


def read_station(
    device_id: str,
    ring: str,
    model: ModelOrder,
    *,
    inspection: Mapping[str, Any] | None,
    stager: Mapping[str, Any] | None,
) -> Station:
    """Return what the two reported sections of one station say about *model* by its order."""
    try:
        judged = None if inspection is None else parse(InspectionReported, inspection)
        staging = None if stager is None else parse(StagerReported, stager)
    except ContractError as error:
        state, detail = StationState.UNREADABLE, str(error)
    else:
        state, detail = _state(judged, staging, model)
    return Station(device_id=device_id, ring=ring, state=state, detail=detail)


def assess(ring: Ring, stations: Sequence[Station]) -> Assessment:
    """Return what *stations*, all that the layer targets, say by the rules of *ring*."""
    count = Counter(its.state for its in stations)
    figures = {"stations": len(stations), **{its.value: count[its] for its in StationState}}
    outcome, reason = _conclude(ring, stations, count)
    return Assessment(outcome=outcome, reason=reason, figures=figures)


def _conclude(
    ring: Ring, stations: Sequence[Station], count: Counter[StationState]
) -> tuple[Outcome, str]:
    bad = [its for its in stations if its.state in BAD]
    if len(bad) > ring.failed_max:
        return Outcome.FAILED, f"{len(bad)} failed, allowed {ring.failed_max}: {_names(bad)}"
    unreadable = [its for its in stations if its.state is StationState.UNREADABLE]
    if unreadable:
        return Outcome.ERROR, f"reports cannot be read: {_names(unreadable)}"
    own = sum(its.ring == ring.name for its in stations)
    if own < ring.stations_min:
        return Outcome.INCONCLUSIVE, f"{own} stations in the ring, needed {ring.stations_min}"
    confirmed = count[StationState.CONFIRMED]
    figures = f"{confirmed} of {len(stations)} stations confirmed"
    if confirmed < ring.confirmed_share * len(stations):
        return Outcome.INCONCLUSIVE, f"{figures}, needed {ring.confirmed_share:.0%}"
    return Outcome.SUCCESSFUL, figures


def _state(
    judged: InspectionReported | None, staging: StagerReported | None, model: ModelOrder
) -> _Said:
    """Return what is settled; inference has the last word, since it is the one that judges."""
    inspected = None if judged is None else _inspected(judged, model)
    staged = None if staging is None else _staged(staging, model)
    for said in (inspected, staged):
        if said is not None and said[0] is not StationState.PENDING:
            return said
    return inspected or staged or (StationState.PENDING, "has not taken the order up")


def _inspected(judged: InspectionReported, model: ModelOrder) -> _Said | None:
    """Return what inference says about *model*, None when it says nothing.

    A rollback outweighs a confirmation: a guardrail may strike after the trial. An order that is
    used again was confirmed with another model; and a model that was confirmed may have a stand-in,
    while its slot is damaged.
    """
    rollback, error = judged.lastRollback, judged.lastError
    is_confirmed = judged.confirmedOrder == model.order and _is(judged.lastKnownGood, model)
    if rollback is not None and rollback.order == model.order:
        return StationState.ROLLED_BACK, f"{rollback.reason}: {rollback.message}"
    if is_confirmed and judged.phase is not InspectionPhase.LIVE:
        return StationState.PENDING, f"confirmed, but inspection {judged.phase}"
    if is_confirmed and not _is(judged.live, model):
        stand_in = judged.live.version if judged.live else "no model"
        return StationState.PENDING, f"confirmed, but {stand_in} judges"
    if is_confirmed:
        return StationState.CONFIRMED, f"on {model.version}"
    if error is not None and error.order == model.order:
        state = StationState.PENDING if error.reason == _WAITING else StationState.NOT_STAGED
        return state, f"{error.reason}: {error.message}"
    if judged.confirmedOrder == model.order:
        return StationState.PENDING, "this order has confirmed another model: use a new order"
    if judged.order == model.order:
        return StationState.PENDING, f"inspection {judged.phase}"
    return None


def _staged(staging: StagerReported, model: ModelOrder) -> _Said | None:
    """Return what the stager says about *model*, None when it says nothing."""
    error = staging.lastError
    said = "" if error is None else f"{error.reason}: {error.message}"
    if error is not None and error.retryAt is not None:
        said += f" (tries again at {error.retryAt})"
    if staging.order != model.order:
        # A malformed twin has no order, and an order that waits for a trial is not taken up yet.
        is_ours = error is not None and error.order in (None, model.order)
        return (StationState.PENDING, f"has not taken the order up, {said}") if is_ours else None
    if staging.phase in (StagingPhase.FAILED, StagingPhase.BLOCKED):
        return StationState.NOT_STAGED, said or staging.phase
    if staging.phase is StagingPhase.HELD:
        said = staging.hold or said  # the station says when: neither a failure nor a success
    return StationState.PENDING, " ".join(filter(None, (staging.phase, said)))


def _is(ref: ModelRef | None, model: ModelOrder) -> bool:
    """Tell whether *ref* is *model*, whatever order asked for it."""
    return ref is not None and (ref.name, ref.version) == (model.name, model.version)


def _names(stations: Iterable[Station]) -> str:
    listed = [f"{its.device_id} ({its.detail})" for its in stations]
    more = f" and {len(listed) - 5} more" if len(listed) > 5 else ""
    return ", ".join(listed[:5]) + more
