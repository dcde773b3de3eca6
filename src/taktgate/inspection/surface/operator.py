"""What a person of this station may ask of the agent, as the surface sees it.

The agent does it in its own thread (`agent/surface_orders.py`); what nobody waits for any more is
not done.
"""

import asyncio
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol, TypeVar

from taktgate.contracts.model import ModelRef
from taktgate.inspection.surface.errors import UnavailableError

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """What the agent made of an order."""

    order: str | None
    """None: the model judges already and is confirmed, nothing is to be done."""
    phase: str
    refusal: str = ""
    """Why it will not do it; empty: it does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Escaped:
    """What the agent made of a part that should not have passed."""

    is_sent_back: bool
    phase: str
    alarm: str
    """The guardrails' alarm that holds now; empty: none."""
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cleared:
    """What the agent made of a second chance."""

    phase: str
    is_blocked: bool
    """False: nobody has sent that model back, there was nothing to clear."""
    refusal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What the agent made of a hold, or of its end."""

    was_held: bool
    """Somebody holds new models back, or did until now."""
    refusal: str = ""


class Operator(Protocol):
    """May be called from any thread; an answer that cannot be had is an `UnavailableError`."""

    def place_order(self, model: ModelRef, slot: str) -> "Future[Ordered]":
        """Bring *model*, which lies verified in *slot*, to life by the way of every order."""
        ...

    def report_escape(self, trigger_id: int, defect_class: str, digest: str) -> "Future[Escaped]":
        """Hold part *trigger_id* against the model *digest*, which had passed it."""
        ...

    def clear(self, digest: str) -> "Future[Cleared]":
        """Give *digest*, which was sent back here, another chance."""
        ...

    def hold(self, reason: str) -> "Future[Held]":
        """Have the stager neither fetch nor announce new models, because of *reason*."""
        ...

    def release_hold(self) -> "Future[Held]":
        """Let new models come again."""
        ...


async def answered(future: "Future[T]", limit_s: float) -> T:
    """Return the agent's answer.

    Raises:
        UnavailableError: there is none in time, or none at all.
    """
    try:
        async with asyncio.timeout(limit_s):
            return await asyncio.wrap_future(future)
    except TimeoutError:
        raise UnavailableError("the agent does not answer") from None
