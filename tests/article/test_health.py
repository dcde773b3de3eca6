"""S9, S10, D7, D9, D12: the article's service and what it says about itself."""

import socket
from pathlib import Path

import onnxruntime
import pytest
from fastapi import HTTPException
from tests.article.conftest import StartService, ask, started
from tests.article.service import ArticleService, Configuration, InferRequest, ReloadRequest

from taktgate.bundle.manifest import Manifest
from taktgate.edge.places import places_from
from taktgate.inspection.errors import ModelRefusedError
from taktgate.inspection.runner.onnx_session import OnnxSession, SessionTerms

pytestmark = pytest.mark.filterwarnings("ignore:Specified provider")
CUDA = "CUDAExecutionProvider"
needs_no_cuda = pytest.mark.skipif(
    CUDA in onnxruntime.get_available_providers(), reason="this runtime has CUDA"
)


@needs_no_cuda
def test_s9_d7_a_gpu_that_is_not_there_is_no_fault(start: StartService) -> None:
    service = start("passes")
    session, _ = service.current()
    assert session.get_providers() == ["CPUExecutionProvider"]
    assert service.healthz()["status"] == "ok"


@needs_no_cuda
def test_s9_d7_a_bundle_that_demands_a_gpu_is_refused_here(weld: Path) -> None:
    manifest = Manifest.parse((weld / "manifest.json").read_bytes())
    with pytest.raises(ModelRefusedError, match="CUDA is demanded") as refused:
        OnnxSession(str(weld / "model.onnx"), manifest, SessionTerms(policy="cuda"))
    assert refused.value.reason == "PROVIDER"


def test_s10_d9_a_service_that_answers_no_part_is_healthy(
    start: StartService, request_: InferRequest
) -> None:
    service = start("slow")
    with pytest.raises(HTTPException) as late:
        service.infer(request_)
    assert late.value.status_code == 503
    assert service.healthz()["status"] == "ok"


def test_s10_d9_without_a_session_health_is_an_error_and_readiness_does_not_exist() -> None:
    service = ArticleService()
    assert ask(service, "GET", "/healthz").status_code == 500
    assert ask(service, "GET", "/readyz").status_code == 404


def test_d9_a_file_that_is_no_model_is_an_unhandled_error(
    start: StartService, folder: Path
) -> None:
    (folder / "broken.onnx").write_bytes(b"no model")
    body = ReloadRequest(model_name="broken").model_dump_json()
    assert ask(start("passes"), "POST", "/reload-model", body).status_code == 500


def test_d12_its_metrics_take_the_port_of_another_program_or_nothing_starts(folder: Path) -> None:
    assert Configuration().metrics_port == 9100, "where Prometheus' node_exporter listens"
    with socket.create_server(("0.0.0.0", 0)) as other:
        taken = Configuration(
            model_dir=folder, active_model="passes", metrics_port=other.getsockname()[1]
        )
        with pytest.raises(OSError, match="in use"):
            ArticleService(taken).start()


def test_d12_our_metrics_are_elsewhere() -> None:
    assert places_from({}).metrics_port not in (9100, 9090)


def test_the_fixture_is_a_service_that_works(folder: Path, request_: InferRequest) -> None:
    """Red is worth nothing if the fixture is simply broken."""
    service = started(folder, "rejects")
    answer = service.infer(request_)
    assert (answer.defective, answer.model_version) == (True, "rejects")
    assert 0.5 < answer.score < 1
    assert service.healthz() == {"status": "ok", "active_model": "rejects"}
    with pytest.raises(HTTPException) as missing:
        service.reload_model(ReloadRequest(model_name="nowhere"))
    assert missing.value.status_code == 404
