"""`hold.json`: somebody at the station says "not now" to new models.

Written durably by inference's agent beside `activation.json`, at an operator's request. The stager
then fetches and announces nothing; what is live, on trial or rolled back goes on as ever.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from taktgate.contracts.codec import OPEN_DOCUMENT

HOLD_FILE: Final = "hold.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """A hold that stands until it is lifted."""

    __pydantic_config__ = OPEN_DOCUMENT

    contract: str
    by: Annotated[str, Field(min_length=1, max_length=64)]
    reason: Annotated[str, Field(min_length=1, max_length=200)]
    at: str
    """Wall-clock label (ISO 8601); no decision reads it."""
