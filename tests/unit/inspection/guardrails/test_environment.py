import pytest

from taktgate.inspection.guardrails.breach import Breach, Cause, Guardrail
from taktgate.inspection.guardrails.environment import Response, respond
from taktgate.inspection.guardrails.settings import GuardrailSettings

SETTINGS = GuardrailSettings()
SOON = SETTINGS.environment_parts


@pytest.mark.parametrize(
    ("cause", "has_way_back", "parts_since_return", "response"),
    [
        (Cause.MODEL, True, None, Response.ROLL_BACK),
        (Cause.MODEL, True, SOON + 1, Response.ROLL_BACK),
        (Cause.MODEL, True, SOON, Response.ALARM_ENVIRONMENT),
        (Cause.MODEL, True, 1, Response.ALARM_ENVIRONMENT),
        (Cause.MODEL, False, None, Response.ALARM_NO_WAY_BACK),
        (Cause.MODEL, False, 1, Response.ALARM_ENVIRONMENT),
        (Cause.ENVIRONMENT, True, None, Response.ALARM_ENVIRONMENT),
        (Cause.ENVIRONMENT, False, None, Response.ALARM_ENVIRONMENT),
    ],
)
def test_a_station_goes_back_only_from_a_model_that_is_to_blame(
    cause: Cause, has_way_back: bool, parts_since_return: int | None, response: Response
) -> None:
    breach = Breach(guardrail=Guardrail.LATENCY, message="", figures={}, cause=cause)

    assert response is respond(
        breach, SETTINGS, has_way_back=has_way_back, parts_since_return=parts_since_return
    )
