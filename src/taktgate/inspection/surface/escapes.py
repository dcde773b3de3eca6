"""`POST /report-escape`: a person has found a part defective that had passed.

The part's record says which model passed it. It counts against that model alone, and only while it
judges here: guardrail ESCAPE_OR_DISAGREEMENT, with all that follows from it.
"""

import asyncio
from pathlib import Path

from taktgate.contracts.verdict import Verdict
from taktgate.inspection.records.journal import find_part
from taktgate.inspection.records.record import PartRecord
from taktgate.inspection.surface.board import StatusBoard
from taktgate.inspection.surface.documents import EscapeAnswer, EscapeRequest
from taktgate.inspection.surface.errors import BadInputError
from taktgate.inspection.surface.operator import Operator, answered
from taktgate.inspection.surface.parsing import parse_as


class EscapeEndpoint:
    """Finds who passed the part, and tells the agent."""

    def __init__(
        self, records: Path, board: StatusBoard, operator: Operator, *, limit_s: float
    ) -> None:
        self._records = records
        self._board = board
        self._operator = operator
        self._limit_s = limit_s

    async def report(self, body: bytes) -> EscapeAnswer:
        """Hold the part in *body* against its model.

        Raises:
            BadInputError: 404, 409 or 422.
            UnavailableError: the agent does not answer.
        """
        request = parse_as(EscapeRequest, body)
        loop = asyncio.get_running_loop()
        digest = await loop.run_in_executor(None, passed_by, self._records, request)
        said = self._operator.report_escape(request.trigger_id, request.defect_class, digest)
        escaped = await answered(said, self._limit_s)
        if escaped.refusal:
            raise BadInputError(escaped.refusal, status=409)
        live = self._board.facts.live
        return EscapeAnswer(
            status="sent back" if escaped.is_sent_back else "noted",
            trigger_id=request.trigger_id,
            digest=digest,
            active_model=None if live is None else live.label,
            phase=escaped.phase,
            alarm=escaped.alarm,
        )


def passed_by(records: Path, request: EscapeRequest) -> str:
    """Return the digest of the model that passed the part; without a record a person's word counts.

    Raises:
        BadInputError: 404 when nothing says which model it was, 409 when the part did not pass.
    """
    record = _newest(records, request)
    if record is None and request.digest is None:
        rule = "no record of this part is left: digest must name the model that passed it"
        raise BadInputError(rule, field="trigger_id", status=404)
    if record is None:
        return str(request.digest)
    envelope = record.envelope
    if envelope.verdict is not Verdict.PASS or envelope.model is None:
        rule = f"the part did not pass: {envelope.verdict}, {envelope.reason}"
        raise BadInputError(rule, field="trigger_id", status=409)
    return envelope.model.digest


def _newest(records: Path, request: EscapeRequest) -> PartRecord | None:
    try:
        return find_part(records, request.trigger_id, by=request.digest)
    except OSError:
        return None
