"""S7, S8, S14, S16, D2, D8: the article's service and what its answer means."""

import math

import pytest
from tests.article.conftest import StartService
from tests.article.service import ELEMENTS, ArticleService, InferAnswer, InferRequest, ReloadRequest

from taktgate.contracts.codec import ContractError
from taktgate.contracts.verdict import Reason, Verdict, VerdictEnvelope, open_envelope
from taktgate.inspection.decision.rule import ClassLine, Lines, decide

pytestmark = pytest.mark.filterwarnings("ignore:Specified provider")
LINES = Lines(
    classes=(ClassLine(name="pore", threshold=0.5),), uncertain_low=0.45, uncertain_high=0.55
)


def with_threshold(request: InferRequest, threshold: float) -> InferRequest:
    return request.model_copy(update={"threshold": threshold})


def test_d2_a_frame_with_a_nan_is_within_bounds() -> None:
    tensor = [0.5] * ELEMENTS
    tensor[1000] = math.nan
    assert math.isnan(InferRequest(tensor=tensor).tensor[1000])


def test_d2_a_score_that_is_no_number_is_called_ok(
    start: StartService, request_: InferRequest
) -> None:
    answer = start("nan").infer(request_)
    assert math.isnan(answer.score)
    assert answer.defective is False


def test_d2_a_score_that_is_no_number_passes_nothing_here() -> None:
    for scores in ((math.nan, 0.0), (0.0, math.nan), (math.inf, 0.0)):
        decision = decide(scores[0], scores[1:], LINES)
        assert (decision.verdict, decision.reason) == (Verdict.NO_DECISION, Reason.NON_FINITE)


def test_s7_a_model_that_lets_everything_pass_stays(
    start: StartService, request_: InferRequest
) -> None:
    service = start("rejects")
    assert service.infer(request_).defective
    service.reload_model(ReloadRequest(model_name="nan"))
    answers = [service.infer(request_) for _ in range(20)]
    assert not any(answer.defective for answer in answers)
    assert service.healthz() == {"status": "ok", "active_model": "nan"}


def test_s8_d8_the_caller_moves_the_line(start: StartService, request_: InferRequest) -> None:
    service = start("rejects")
    assert service.infer(request_).defective
    assert not service.infer(with_threshold(request_, 1.0)).defective


def test_s8_d8_there_is_one_score_and_no_doubt(start: StartService, request_: InferRequest) -> None:
    service = start("rejects")
    score = service.infer(request_).score
    just_above, just_below = (
        service.infer(with_threshold(request_, score + step)).defective for step in (1e-6, -1e-6)
    )
    assert (just_above, just_below) == (False, True)


def test_s8_d8_a_score_at_the_line_is_uncertain_here_and_the_bundle_draws_it() -> None:
    assert decide(0.5, (0.5,), LINES).reason is Reason.UNCERTAIN
    assert decide(0.4, (0.4,), LINES).verdict is Verdict.PASS
    assert decide(0.4, (0.6,), LINES).verdict is Verdict.FAIL


def test_s14_an_answer_names_no_part_no_deadline_and_no_time() -> None:
    """What comes late, twice or for another part cannot be told from what is right."""
    binding = {"trigger_id", "sequence", "deadline_ns", "decided_ns"}
    assert not binding & set(InferAnswer.model_fields)
    assert binding <= set(VerdictEnvelope.__dataclass_fields__)


def test_s14_one_part_gets_two_verdicts_that_contradict_each_other(
    start: StartService, request_: InferRequest
) -> None:
    service = start("passes")
    part = request_.model_copy(update={"correlation_id": "part-7"})
    first = service.infer(part)
    service.reload_model(ReloadRequest(model_name="rejects"))
    second = service.infer(part)
    assert first.correlation_id == second.correlation_id
    assert (first.defective, second.defective) == (False, True)


def test_s14_no_endpoint_leads_to_a_plc() -> None:
    paths = {getattr(route, "path", "") for route in ArticleService().application().routes}
    assert {path for path in paths if path.startswith(("/infer", "/reload", "/health"))} == {
        "/infer",
        "/reload-model",
        "/healthz",
    }
    assert not any("plc" in path or "write" in path for path in paths)


def test_s16_an_answer_names_no_contract_and_so_no_lane_of_ours_takes_it(
    start: StartService, request_: InferRequest
) -> None:
    answer = start("passes").infer(request_).model_dump_json()
    assert "contract" not in InferAnswer.model_fields
    with pytest.raises(ContractError):
        open_envelope(answer.encode())
