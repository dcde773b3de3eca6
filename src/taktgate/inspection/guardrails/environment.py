"""What to do about a breach of a confirmed model: go back, or alarm since it is not the model.

If the model that the station went back to breaches as well, and soon, then both cannot be to
blame: it is the light, the camera, the product or the machine. Rolling back further would only
hide that. What was sent back stays blocked all the same: nobody has shown it to be sound.
"""

from enum import StrEnum

from taktgate.inspection.guardrails.breach import Breach, Cause
from taktgate.inspection.guardrails.settings import GuardrailSettings


class Response(StrEnum):
    """What follows from a breach."""

    ROLL_BACK = "rollBack"
    ALARM_ENVIRONMENT = "alarmEnvironment"
    """Nobody is sent back; people must look at the station."""
    ALARM_NO_WAY_BACK = "alarmNoWayBack"
    """It is the model, and there is no other: it goes on, every doubt rejects as ever."""


def respond(
    breach: Breach,
    settings: GuardrailSettings,
    *,
    has_way_back: bool,
    parts_since_return: int | None,
) -> Response:
    """Return what follows from *breach* of the confirmed model.

    *parts_since_return* counts its parts since the station went back to it; None if it did not.
    """
    if breach.cause is Cause.ENVIRONMENT:
        return Response.ALARM_ENVIRONMENT
    if parts_since_return is not None and parts_since_return <= settings.environment_parts:
        return Response.ALARM_ENVIRONMENT
    return Response.ROLL_BACK if has_way_back else Response.ALARM_NO_WAY_BACK
