"""`POST /clear-model`: a person gives a model that was sent back here another chance."""

from taktgate.inspection.surface.documents import ClearAnswer, ClearRequest
from taktgate.inspection.surface.errors import BadInputError, UnavailableError
from taktgate.inspection.surface.operator import Operator, answered
from taktgate.inspection.surface.parsing import parse_as


class ClearEndpoint:
    """Tells the agent; the order that was barred begins again if it still stands."""

    def __init__(self, operator: Operator, *, limit_s: float) -> None:
        self._operator = operator
        self._limit_s = limit_s

    async def clear(self, body: bytes) -> ClearAnswer:
        """Clear the model that *body* names.

        Raises:
            BadInputError: 404 when nobody has sent it back, 422.
            UnavailableError: the agent does not answer, or its disk refuses.
        """
        digest = parse_as(ClearRequest, body).digest
        cleared = await answered(self._operator.clear(digest), self._limit_s)
        if not cleared.is_blocked:
            raise BadInputError(cleared.refusal, field="digest", status=404)
        if cleared.refusal:
            raise UnavailableError(cleared.refusal)
        return ClearAnswer(status="cleared", digest=digest, phase=cleared.phase)
