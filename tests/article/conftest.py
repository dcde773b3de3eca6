"""A folder with models, and the article's service on it."""

import asyncio
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from benches.inspect_bench.model import weld_seam
from tests.article import models
from tests.article.service import ELEMENTS, ArticleService, Configuration, InferRequest

CEILING_S = Configuration().timeout_s
SHORT_S = 0.010
"""A fraction of a run of the slow model on any machine."""
PATIENT_S = 10.0
"""Where the time limit is not what is shown: a machine that stalls must not make it so."""
StartService = Callable[[str], ArticleService]


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the plant calls MODEL_DIR."""
    folder = tmp_path_factory.mktemp("plant") / "models"
    for name, made in {
        "passes": models.PASSES,
        "rejects": models.REJECTS,
        "nan": models.NOT_A_NUMBER,
        "slow": models.SLOW,
    }.items():
        models.write(folder, name, made)
    return folder


@pytest.fixture(scope="session")
def request_() -> InferRequest:
    """A grey frame, validated as the service does it, with the default threshold."""
    return InferRequest(tensor=[models.GREY] * ELEMENTS)


@pytest.fixture
def start(folder: Path) -> Iterator[StartService]:
    """Start the service with a model; what it leaves running is waited for."""
    yield lambda name: started(folder, name, timeout_s=SHORT_S if name == "slow" else PATIENT_S)
    end_s = time.monotonic() + 60
    while runs_alive() and time.monotonic() < end_s:
        time.sleep(0.05)


def started(folder: Path, name: str, *, timeout_s: float = PATIENT_S) -> ArticleService:
    """Return the service as it is after a start, metrics on no port."""
    service = ArticleService(
        Configuration(model_dir=folder, active_model=name, metrics_port=None, timeout_s=timeout_s)
    )
    service.start()
    return service


def ask(service: ArticleService, method: str, path: str, body: str = "") -> httpx.Response:
    """Send one request to the service's endpoints, as a client on the network would."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(service.application(), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://station") as client:
            kind = {"Content-Type": "application/json"}
            return await client.request(method, path, content=body, headers=kind, timeout=60)

    return asyncio.run(send())


def runs_alive() -> int:
    """Return how many threads are in `session.run` for a request, waited for or not."""
    return sum("(_run)" in thread.name for thread in threading.enumerate())


@pytest.fixture
def weld(tmp_path: Path) -> Path:
    """A slot of ours with the weld-seam sample."""
    return weld_seam(tmp_path).slot
