"""`POST /infer`: one picture, one opinion."""

import asyncio
from dataclasses import dataclass

from fastapi import Request

from taktgate.contracts.verdict import Verdict
from taktgate.edge.clock import MILLISECOND, SECOND, monotonic_ns
from taktgate.inspection.decision.answer import decide_answer, named_scores
from taktgate.inspection.doorbell import Answer
from taktgate.inspection.surface.board import label_of
from taktgate.inspection.surface.bodies import media_of, read_body
from taktgate.inspection.surface.documents import InferAnswer
from taktgate.inspection.surface.errors import FAIL_SAFE_HINT, BusyError, UnavailableError
from taktgate.inspection.surface.infer_service import InferService
from taktgate.inspection.surface.infer_work import Question, Reply
from taktgate.inspection.surface.limits import Limits
from taktgate.inspection.surface.pixels import Layout


@dataclass(frozen=True, slots=True, kw_only=True)
class RawShape:
    """What the query says of a raw body."""

    width: int | None = None
    height: int | None = None
    channels: int | None = None
    layout: Layout = Layout.UINT8_HWC


class InferEndpoint:
    """Takes a few bodies into memory at a time, and asks the infer service."""

    def __init__(self, service: InferService, limits: Limits) -> None:
        self._limits = limits
        self._service = service
        self._taken = 0

    async def infer(
        self, request: Request, shape: RawShape, correlation_id: str | None
    ) -> InferAnswer:
        """Return the model's opinion.

        Raises:
            BadInputError: the request breaks a rule.
            BusyError: too many at once.
            UnavailableError: no answer now, or not in time.
        """
        began_ns = monotonic_ns()
        media = media_of(request)
        if self._taken >= self._limits.bodies:
            raise BusyError(f"{self._limits.bodies} requests are being answered already")
        self._taken += 1
        try:
            question = Question(
                body=await read_body(
                    request, limit_bytes=self._limits.infer_bytes, limit_s=self._limits.body_s
                ),
                media=media,
                layout=shape.layout,
                width=shape.width,
                height=shape.height,
                channels=shape.channels,
                give_up_ns=began_ns + int(self._limits.reply_s * SECOND),
            )
            reply = await self._ask(question)
        finally:
            self._taken -= 1
        return _document(reply, began_ns, correlation_id)

    async def _ask(self, question: Question) -> Reply:
        limit_s = max(0.0, (question.give_up_ns - monotonic_ns()) / SECOND)
        try:
            async with asyncio.timeout(limit_s + 1.0):
                return await asyncio.wrap_future(self._service.ask(question))
        except TimeoutError:
            raise UnavailableError(f"no answer in time. {FAIL_SAFE_HINT}") from None


def _document(reply: Reply, began_ns: int, correlation_id: str | None) -> InferAnswer:
    answer, model, lines = reply.answer, reply.ready.model, reply.ready.lines
    decision = decide_answer(answer, lines)
    return InferAnswer(
        defective=decision.verdict is not Verdict.PASS,
        score=decision.score,
        latency_ms=round((monotonic_ns() - began_ns) / MILLISECOND, 3),
        model_version=label_of(model),
        correlation_id=correlation_id if reply.correlation_id is None else reply.correlation_id,
        verdict=decision.verdict,
        reason=decision.reason,
        class_scores={each.name: each.score for each in named_scores(decision, answer, lines)},
        decided_by=decision.decided_by,
        run_ms=_run_ms(answer),
        provider=reply.ready.provider,
        digest=model.digest,
    )


def _run_ms(answer: Answer) -> float:
    return round((answer.end_ns - answer.start_ns) / MILLISECOND, 3)
