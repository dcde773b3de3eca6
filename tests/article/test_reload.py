"""S5, S6, S15, D4, D5, D6: the article's service and a new model."""

from pathlib import Path
from typing import Any

import onnxruntime
import pytest
from fastapi import HTTPException
from tests.article import models
from tests.article.conftest import StartService, started
from tests.article.service import InferRequest, ReloadRequest

from taktgate.bundle import layout
from taktgate.contracts.codec import ContractError, parse
from taktgate.contracts.model import ModelRef

pytestmark = pytest.mark.filterwarnings("ignore:Specified provider")


def test_s5_d4_a_name_leads_out_of_the_folder(
    start: StartService, folder: Path, request_: InferRequest
) -> None:
    evil = models.write(folder.parent / "outside", "evil", models.PASSES)
    service = start("rejects")
    for name in ("../outside/evil", str(evil.with_suffix(""))):
        assert service.reload_model(ReloadRequest(model_name=name))["status"] == "reloaded"
        assert service.infer(request_).model_version == name
        assert not service.infer(request_).defective


@pytest.mark.parametrize("name", ["../outside/evil", "/tmp/evil", "a/b", "..", "", "x" * 200])
def test_s5_d4_no_name_here_is_a_path(name: str) -> None:
    digest = "sha256:" + "0" * 64
    good = {"name": "weld-seam", "version": "1.0.0", "digest": digest}
    assert parse(ModelRef, good)
    for field in ("name", "version"):
        with pytest.raises(ContractError):
            parse(ModelRef, good | {field: name})
    assert not layout.is_member(name)


def test_s5_d4_a_model_that_cannot_run_is_loaded_all_the_same(
    start: StartService, folder: Path, request_: InferRequest
) -> None:
    models.write_of_another_shape(folder, "other-shape")
    service = start("passes")
    assert service.reload_model(ReloadRequest(model_name="other-shape"))["status"] == "reloaded"
    with pytest.raises(HTTPException) as refused:
        service.infer(request_)
    assert refused.value.status_code == 500
    assert service.healthz()["status"] == "ok"


def test_s6_d6_the_first_run_of_a_new_model_is_that_of_a_part(
    start: StartService, request_: InferRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[str] = []

    class Counting(onnxruntime.InferenceSession):  # type: ignore[misc]
        def run(self, *arguments: Any) -> Any:
            runs.append("run")
            return super().run(*arguments)

    monkeypatch.setattr(onnxruntime, "InferenceSession", Counting)
    service = start("passes")
    service.reload_model(ReloadRequest(model_name="rejects"))
    assert runs == []
    service.infer(request_)
    assert runs == ["run"]


def test_d5_a_reload_is_forgotten_by_a_restart(folder: Path) -> None:
    service = started(folder, "passes")
    service.reload_model(ReloadRequest(model_name="rejects"))
    assert service.healthz()["active_model"] == "rejects"
    assert started(folder, "passes").healthz()["active_model"] == "passes"


def test_s15_a_copy_cut_off_by_a_power_cut_ends_the_station(folder: Path, tmp_path: Path) -> None:
    """The new file goes where the old one was, as the pipeline's copy does: there is no other."""
    new = (folder / "passes.onnx").read_bytes()
    (tmp_path / "active.onnx").write_bytes(new[: len(new) // 2])
    with pytest.raises(Exception, match=r"(?i)protobuf|parsing|load"):
        started(tmp_path, "active")
