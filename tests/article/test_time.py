"""S1-S4, S13, D1, D3: the article's service and time."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import numpy as np
import pytest
from benches.inspect_bench import peers
from benches.inspect_bench.model import made
from benches.inspect_bench.peers import PeerTiming
from fastapi import HTTPException
from tests.article import ci, models
from tests.article.conftest import CEILING_S, StartService, runs_alive
from tests.article.service import ArticleService, InferRequest

from taktgate.gates.latency_statement import TooFewSamplesError, state

pytestmark = pytest.mark.filterwarnings("ignore:Specified provider")
CEILING_NS = CEILING_S * 1e9
Asked = tuple[PeerTiming, PeerTiming]


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Asked:
    """One frame through the article's service as a peer of the bench, and through the bare run.

    Of the bare run the quickest of several: one that a busy machine holds up is no measure of it.
    """
    model = made(tmp_path_factory.mktemp("peer"), models.PASSES)
    frame = np.random.default_rng(5).integers(0, 256, (512, 512), np.uint8)
    with peers.start("raw", model) as raw, peers.start("article", model) as article:
        bare = min((raw.request(frame) for _ in range(10)), key=lambda its: its.beyond_run_ns)
        for _ in range(20):
            with suppress(peers.PeerError):  # a machine that stalls just then makes it give 503
                return article.request(frame), bare
    raise AssertionError("the article's service answered none of twenty frames in time")


def infer_status(service: ArticleService, request: InferRequest) -> int:
    """Return the status that a caller would see."""
    try:
        service.infer(request)
    except HTTPException as error:
        return error.status_code
    return 200


def test_s1_d1_json_alone_costs_several_times_the_ceiling(asked: Asked) -> None:
    article, _ = asked
    assert article.beyond_run_ns > 3 * CEILING_NS
    assert article.encode_ns > CEILING_NS, "already the client that writes it"


def test_s1_d1_it_gives_the_score_of_the_bare_run_for_a_multiple_of_its_cost(asked: Asked) -> None:
    article, raw = asked
    assert article.score == pytest.approx(raw.score, abs=1e-5)
    assert article.beyond_run_ns > 10 * raw.beyond_run_ns


def test_s2_a_part_that_was_far_too_late_is_answered_as_if_in_time(asked: Asked) -> None:
    article, _ = asked
    served_ns = article.total_ns - article.encode_ns
    assert served_ns > 2 * CEILING_NS
    assert article.run_ns < CEILING_NS, "what it says that it took"


def test_s3_d3_runs_that_nobody_waits_for_pile_up(
    start: StartService, request_: InferRequest
) -> None:
    service = start("slow")
    statuses = [infer_status(service, request_) for _ in range(3)]
    alive = runs_alive()
    assert statuses == [503] * 3, "no circuit opens: each request is taken"
    assert alive >= 2, "each of them takes the cores from the next part"


def test_s4_all_that_is_offered_runs_at_once(start: StartService, request_: InferRequest) -> None:
    service = start("slow")
    with ThreadPoolExecutor(4) as callers:
        statuses = list(callers.map(lambda _: infer_status(service, request_), range(4)))
        alive = runs_alive()
    assert statuses == [503] * 4, "together they are too slow for every one of them"
    assert alive >= 3


def test_s13_a_rig_that_is_too_slow_is_often_promoted_and_a_short_run_too() -> None:
    """1.05 % of the frames take over 45 ms: the true p99 is beyond the limit."""
    chance = np.random.default_rng(13)

    def run(frames: int) -> np.ndarray[Any, np.dtype[np.float64]]:
        return np.where(chance.random(frames) < 0.0105, 50.0, 20.0)

    ten_minutes = [ci.hil_gate(run(18_000).tolist()) for _ in range(40)]
    assert sum(ten_minutes) >= 4
    few_seconds = [ci.hil_gate(run(100).tolist()) for _ in range(40)]
    assert sum(few_seconds) >= 10


def test_s13_our_statement_promotes_it_at_most_as_often_as_it_says() -> None:
    chance = np.random.default_rng(13)
    kept = []
    for _ in range(20):
        frames = np.where(chance.random(18_000) < 0.0105, 50.0, 20.0).tolist()
        kept.append(state(frames, limit_ms=45, quantile=0.99, confidence=0.99).is_kept)
    assert sum(kept) <= 1
    with pytest.raises(TooFewSamplesError):
        state([20.0] * 100, limit_ms=45, quantile=0.99, confidence=0.99)
