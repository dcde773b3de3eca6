"""The control surface over real TCP, with its real service: questions, orders, states, limits."""

import contextlib
import io
import json
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.integration.judge_station import is_alive
from tests.integration.surface_station import TOKEN, Answer, SurfaceStation, surface_station
from tests.integration.tiny_bundles import SIZE, Tiny, expected_score
from tests.waiting import wait_until

from taktgate.contracts.activation import Rollback
from taktgate.inspection.agent.phases import Phase
from taktgate.inspection.surface.board import Facts
from taktgate.inspection.surface.limits import Limits
from taktgate.inspection.surface.server import bind

RAW = "application/octet-stream"
GREY = f"/infer?width={SIZE}&height={SIZE}&channels=1"


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SurfaceStation]:
    """Give one surface for all tests that leave it as it was: its service starts slowly."""
    with surface_station(tmp_path_factory.mktemp("surface") / "s") as running:
        running.make_live(running.shelve(Tiny(), "a"), "a")
        yield running


def picture(kind: str, grey: int) -> bytes:
    data = io.BytesIO()
    Image.fromarray(np.full((SIZE, SIZE), grey, np.uint8)).save(data, kind)
    return data.getvalue()


def tensor(grey: int, **more: object) -> bytes:
    return json.dumps({"tensor": [grey / 255] * (3 * SIZE * SIZE), **more}).encode()


def grey(station: SurfaceStation, level: int = 10) -> Answer:
    return station.post(GREY, bytes([level]) * SIZE * SIZE, RAW)


@pytest.mark.parametrize("level", [10, 240])
def test_every_form_of_one_picture_gets_the_same_score(station: SurfaceStation, level: int) -> None:
    floats = np.full(3 * SIZE * SIZE, level / 255, "<f4").tobytes()
    answers = [
        station.post("/infer", tensor(level)),
        station.post("/infer?layout=float32_chw", floats, RAW),
        grey(station, level),
        station.post("/infer", picture("PNG", level), "image/png"),
        station.post("/infer", picture("JPEG", level), "image/jpeg"),
    ]
    assert [answer.status for answer in answers] == [200] * len(answers)
    assert len({answer.json["score"] for answer in answers}) == 1
    expected = expected_score(level, Tiny())
    assert answers[0].json["score"] == pytest.approx(expected, abs=1e-5)
    assert answers[0].json["defective"] is (level > 127)


def test_answer_keeps_the_articles_fields_and_names_the_model(station: SurfaceStation) -> None:
    answer = station.post("/infer", tensor(10, correlation_id="part-1", threshold=0.5)).json
    assert {"defective", "score", "latency_ms", "model_version", "correlation_id"} <= set(answer)
    assert (answer["model_version"], answer["correlation_id"]) == ("tiny-1.0.0", "part-1")
    assert (answer["verdict"], answer["provider"]) == ("PASS", "CPUExecutionProvider")
    assert 0 < answer["run_ms"] < answer["latency_ms"]


def test_score_in_the_uncertain_band_is_defective(station: SurfaceStation) -> None:
    answer = grey(station, 127).json
    assert (answer["verdict"], answer["defective"]) == ("NO_DECISION", True)


@pytest.mark.parametrize(
    ("path", "body", "kind", "status", "field"),
    [
        ("/infer", b'{"tensor": [0.5, NaN]}', "application/json", 422, "tensor[1]"),
        ("/infer", tensor(10, threshold=0.1), "application/json", 422, "threshold"),
        ("/infer", b"{", "application/json", 422, "body"),
        ("/infer", b"", "application/json", 422, "body"),
        ("/infer", b"GIF89a", "image/gif", 415, "Content-Type"),
        ("/infer", picture("JPEG", 10)[:-30], "image/jpeg", 422, "body"),
        ("/infer?width=8&height=8&channels=1", bytes(64), RAW, 422, "body"),
        ("/infer?width=x", b"", RAW, 422, "query.width"),
        ("/infer?layout=nchw", b"", RAW, 422, "query.layout"),
        ("/infer?correlation_id=" + "x" * 129, b"", RAW, 422, "query.correlation_id"),
    ],
)
def test_bad_question_is_refused_with_field_and_rule(
    station: SurfaceStation, path: str, body: bytes, kind: str, status: int, field: str
) -> None:
    answer = station.post(path, body, kind)
    assert (answer.status, answer.json["field"]) == (status, field)
    assert answer.json["rule"]


def test_body_is_refused_by_its_announced_size_before_it_is_sent(station: SurfaceStation) -> None:
    head = b"POST /infer HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    assert b" 413 " in station.raw(head + b"Content-Length: 99999999\r\n\r\n")


def test_body_without_a_size_is_refused_when_it_has_become_too_large(
    station: SurfaceStation,
) -> None:
    head = b"POST /infer HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
    piece = b"100000\r\n" + bytes(0x100000) + b"\r\n"
    with socket.create_connection(("127.0.0.1", station.port), timeout=20) as stream:
        with contextlib.suppress(ConnectionError):
            stream.sendall(head)
            for _ in range(25):
                stream.sendall(piece)
        assert b" 413 " in stream.recv(4096)


def test_head_that_never_ends_is_refused(station: SurfaceStation) -> None:
    answer = station.raw(b"GET /healthz HTTP/1.1\r\n" + b"X: " + b"x" * 20_000)
    assert b" 400 " in answer


def test_unknown_paths_and_methods_are_refused(station: SurfaceStation) -> None:
    assert station.get("/infer").status == 405
    assert station.get("/docs").status == 404
    assert station.get("/../etc/passwd").status == 404


def test_requests_are_counted_by_path_and_status_and_unknown_paths_as_one(
    station: SurfaceStation,
) -> None:
    for path in ("/healthz", "/nowhere", "/elsewhere", "/metrics"):
        station.get(path)
    said = station.get("/metrics").body.decode()
    assert 'taktgate_surface_requests_total{path="/healthz",status="200"}' in said
    assert 'taktgate_surface_requests_total{path="other",status="404"}' in said
    assert "elsewhere" not in said


def test_states_are_told_with_and_without_a_model(station: SurfaceStation) -> None:
    with_model = station.board.facts
    station.turn()
    assert station.get("/readyz").status == 200
    assert station.get("/healthz").json["active_model"] == "tiny-1.0.0"
    try:
        station.board.facts = Facts(turned_ns=time.monotonic_ns())
        health = station.get("/healthz").json
        assert (health["status"], health["active_model"]) == ("ok", None)
        assert (station.get("/readyz").status, station.get("/readyz").json["ready"]) == (503, False)
        assert (grey(station).status, grey(station).headers["retry-after"]) == (503, "1")
        station.board.facts = Facts(turned_ns=time.monotonic_ns() - 60 * 10**9)
        assert (station.get("/healthz").status, station.get("/readyz").status) == (503, 503)
        assert station.get("/metrics").status == 200
    finally:
        station.board.facts = with_model


def test_dead_helper_costs_one_question_at_most(station: SurfaceStation) -> None:
    assert grey(station).status == 200
    pids = station.surface.infer_service.pids
    assert len(pids) == 2
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    answers = [grey(station).status for _ in range(4)]
    assert answers.count(503) <= 2
    assert answers[-1] == 200


def test_infer_service_follows_the_live_model_and_ends_what_served_the_last_one(
    tmp_path: Path,
) -> None:
    with surface_station(tmp_path / "s") as station:
        first = station.shelve(Tiny(version="1.0.0"), "a")
        second = station.shelve(Tiny(version="2.0.0", gain=-8.0), "b")
        station.make_live(first, "a")
        assert (grey(station).json["defective"], grey(station).json["digest"]) == (
            False,
            first.digest,
        )
        pids = station.surface.infer_service.pids
        station.make_live(second, "b")
        assert (grey(station).json["defective"], grey(station).json["digest"]) == (
            True,
            second.digest,
        )
        wait_until(lambda: len([pid for pid in pids if is_alive(pid)]) == 1)  # the decoder


def test_model_that_hangs_is_a_503_with_the_fail_safe_hint_and_is_replaced(tmp_path: Path) -> None:
    with surface_station(tmp_path / "s", infer_limit_ms=400) as station:
        station.make_live(station.shelve(Tiny(slow_steps=80), "slow"), "slow")
        answer = grey(station)
        assert (answer.status, "apply configured fail-safe" in answer.json["detail"]) == (503, True)
        station.make_live(station.shelve(Tiny(version="2.0.0"), "good"), "good")
        assert grey(station).status == 200


def test_more_questions_than_may_wait_are_told_to_come_again(tmp_path: Path) -> None:
    limits = Limits(bodies=20, waiting=1)
    with surface_station(tmp_path / "s", limits=limits) as station:
        station.make_live(station.shelve(Tiny(), "a"), "a")
        answers: list[Answer] = []
        asking = [threading.Thread(target=lambda: answers.append(grey(station))) for _ in range(8)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join()
        statuses = [answer.status for answer in answers]
        assert set(statuses) == {200, 429}
        assert all(a.headers["retry-after"] for a in answers if a.status == 429)


def test_no_more_bodies_are_taken_than_may_be_in_memory(tmp_path: Path) -> None:
    with surface_station(tmp_path / "s", limits=Limits(bodies=1)) as station:
        head = b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n12345"
        with socket.create_connection(("127.0.0.1", station.port), timeout=5) as half:
            half.sendall(head)
            wait_until(lambda: grey(station).status == 429)
        wait_until(lambda: grey(station).status == 503)  # the place is free, no model is live


def test_infer_service_ends_its_processes_when_nobody_asks(tmp_path: Path) -> None:
    with surface_station(tmp_path / "s", limits=Limits(idle_end_s=1.5)) as station:
        station.make_live(station.shelve(Tiny(), "a"), "a")
        assert grey(station).status == 200
        pids = station.surface.infer_service.pids
        assert len(pids) == 2
        wait_until(lambda: not any(is_alive(pid) for pid in pids))
        assert grey(station).status == 200


def test_slow_requests_and_too_many_connections_are_cut_off(tmp_path: Path) -> None:
    limits = Limits(body_s=0.3, request_s=4.0, connections=6)
    with surface_station(tmp_path / "s", limits=limits) as station:
        head = b"POST /infer HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n"
        assert b" 408 " in station.raw(head + b"12345")
        address = ("127.0.0.1", station.port)
        with contextlib.ExitStack() as idle:
            streams = [
                idle.enter_context(socket.create_connection(address, timeout=5)) for _ in range(12)
            ]
            streams[0].sendall(b"GET /heal")
            wait_until(lambda: closed(streams) >= 6)
            assert closed(streams) < 12  # those that are too many are, at once, and no other
            wait_until(lambda: closed(streams) == 12)
        station.turn()
        assert station.get("/healthz").status == 200


def test_order_takes_the_way_of_every_order(tmp_path: Path) -> None:
    with surface_station(tmp_path / "s") as station:
        good = station.shelve(Tiny(version="1.0.0"), "a")
        station.confirm(good, "a")
        wanted = station.shelve(Tiny(version="2.0.0"), "b")
        answer = station.reload({"model_name": "tiny-2.0.0"})
        assert (answer.status, answer.json["status"]) == (202, "accepted")
        assert answer.json["digest"] == wanted.digest
        assert station.activator.phase is Phase.LOADING
        candidate = station.activator.candidate
        assert candidate is not None
        assert (candidate.model, candidate.slot) == (wanted, "b")
        assert candidate.order == answer.json["order"]


def test_order_for_what_was_rolled_back_here_is_409(tmp_path: Path) -> None:
    with surface_station(tmp_path / "s") as station:
        station.confirm(
            station.shelve(Tiny(version="1.0.0"), "a"), "a",
            blocked=(blocked(station.shelve(Tiny(version="2.0.0"), "b").digest),),
        )  # fmt: skip
        answer = station.reload({"model_name": "tiny-2.0.0"})
        assert (answer.status, "BLOCKED" in answer.json["detail"]) == (409, True)
        assert station.activator.phase is Phase.IDLE


def test_order_needs_the_token(station: SurfaceStation) -> None:
    before = station.activator.phase
    for token in (None, "x", TOKEN + "x"):
        answer = station.reload({"model_name": "tiny-1.0.0"}, token)
        assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    station.token_file.rename(station.folder / "gone")
    try:
        assert station.reload({"model_name": "tiny-1.0.0"}).status == 403
    finally:
        (station.folder / "gone").rename(station.token_file)
    assert station.reload({"model_name": "../a"}).status == 422
    assert station.reload({"model_name": "none-1.0.0"}).status == 404
    assert station.activator.phase is before


def test_agent_that_does_not_answer_is_a_503_and_the_order_is_not_done_later(
    tmp_path: Path,
) -> None:
    with surface_station(tmp_path / "s", limits=Limits(order_s=0.2)) as station:
        station.shelve(Tiny(version="1.0.0"), "a")
        station.is_agent_deaf = True
        answer = station.reload({"model_name": "tiny-1.0.0"})
        assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        station.run_unheard_errands()
        assert station.activator.phase is Phase.IDLE


def test_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"control surface 127.0.0.1:{port}"):
            bind("127.0.0.1", port)


def blocked(digest: str) -> Rollback:
    return Rollback(
        digest=digest, order="o2", reason="OVER_REJECT", figures={}, message="", at="then"
    )


def closed(streams: list[socket.socket]) -> int:
    """Return how many of *streams*, to which nothing is ever sent, the surface has closed."""
    readable, _, _ = select.select(streams, [], [], 0)
    return len(readable)
