"""`POST /hold` and `POST /release-hold`: a person says "not now" to new models, or "now"."""

from taktgate.inspection.surface.documents import HoldAnswer, HoldRequest, ReleaseRequest
from taktgate.inspection.surface.errors import BadInputError, UnavailableError
from taktgate.inspection.surface.operator import Operator, answered
from taktgate.inspection.surface.parsing import parse_as


class HoldEndpoint:
    """Has the agent write `hold.json`; the stager heeds it within a second."""

    def __init__(self, operator: Operator, *, limit_s: float) -> None:
        self._operator = operator
        self._limit_s = limit_s

    async def hold(self, body: bytes) -> HoldAnswer:
        """Hold new models back for the reason in *body*.

        Raises:
            BadInputError: 422.
            UnavailableError: the agent does not answer, or its disk refuses.
        """
        reason = parse_as(HoldRequest, body).reason
        held = await answered(self._operator.hold(reason), self._limit_s)
        if held.refusal:
            raise UnavailableError(held.refusal)
        return HoldAnswer(status="held", reason=reason)

    async def release(self, body: bytes) -> HoldAnswer:
        """Let new models come again.

        Raises:
            BadInputError: 404 when nothing held them, 422.
            UnavailableError: the agent does not answer, or its disk refuses.
        """
        parse_as(ReleaseRequest, body)
        held = await answered(self._operator.release_hold(), self._limit_s)
        if held.refusal:
            raise UnavailableError(held.refusal)
        if not held.was_held:
            raise BadInputError("nobody holds new models back", status=404)
        return HoldAnswer(status="released", reason=None)
