"""`POST /reload-model`: an operator's order for a bundle that lies verified in a slot.

It takes the way of every order: probe, shadow, trial, and back when a guardrail fires. Nothing is
loaded here, and what the request says never becomes a path.
"""

import asyncio

from taktgate.inspection.surface.board import StatusBoard, label_of
from taktgate.inspection.surface.documents import ReloadAnswer, ReloadRequest
from taktgate.inspection.surface.errors import BadInputError
from taktgate.inspection.surface.operator import Operator, answered
from taktgate.inspection.surface.parsing import parse_as
from taktgate.inspection.surface.slots import SlotBundle, SlotCatalog


class ReloadEndpoint:
    """Finds the bundle, has it verified, places the order."""

    def __init__(
        self, catalog: SlotCatalog, board: StatusBoard, operator: Operator, *, limit_s: float
    ) -> None:
        self._catalog = catalog
        self._board = board
        self._operator = operator
        self._limit_s = limit_s

    async def reload(self, body: bytes) -> ReloadAnswer:
        """Place the order in *body*.

        Raises:
            BadInputError: 404, 409 or 422.
            UnavailableError: the agent does not answer.
        """
        request = parse(body)
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(None, find_verified, self._catalog, request)
        model, slot = found.model, found.slot
        placed = await answered(self._operator.place_order(model, slot), self._limit_s)
        if placed.refusal:
            raise BadInputError(placed.refusal, status=409)
        live = self._board.facts.live
        return ReloadAnswer(
            status="unchanged" if placed.order is None else "accepted",
            active_model=None if live is None else live.label,
            requested_model=label_of(model),
            digest=model.digest,
            order=placed.order,
            phase=placed.phase,
        )


def parse(body: bytes) -> ReloadRequest:
    """Return the request in *body*.

    Raises:
        BadInputError: 422, with field and rule.
    """
    request = parse_as(ReloadRequest, body)
    if (request.model_name is None) == (request.digest is None):
        raise BadInputError("exactly one of model_name and digest must be given", field="body")
    return request


def find_verified(catalog: SlotCatalog, request: ReloadRequest) -> SlotBundle:
    """Return the one bundle that *request* names.

    Raises:
        BadInputError: 404 when there is none, 409 when there are several or it does not verify.
    """
    found = catalog.find(name=request.model_name, digest=request.digest)
    if not found:
        raise BadInputError("no slot holds such a bundle", status=404)
    if len(found) > 1:
        labels = ", ".join(sorted(label_of(each.model) for each in found))
        raise BadInputError(f"several do: {labels}; name one", field="model_name", status=409)
    fault = catalog.verify(found[0])
    if fault is not None:
        raise BadInputError(fault[:500], status=409)
    return found[0]
