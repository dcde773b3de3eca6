"""The inference service that part 4 of the article describes, written anew: it behaves the same.

It is here to be shown wrong. Each trap is kept as the article has it: a JSON list of 786,432
floats; bounds checked by minimum and maximum alone; a thread for each request, joined with a time
limit around the run and left behind when it is over; *defective if score >= threshold* with the
caller's threshold; a reload that joins a name to a folder and remembers nothing; providers that may
fall back; health that means "there is a session"; metrics on port 9100.

Run it: `python tests/article/service.py --port 8000`, configured by the article's variables.
"""

from __future__ import annotations

import argparse
import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import uvicorn
from fastapi import FastAPI, HTTPException
from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from pydantic import BaseModel, Field, field_validator

SHAPE = (1, 3, 512, 512)
ELEMENTS = 3 * 512 * 512
LOWEST, HIGHEST = 0.0, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """The article's variables with its defaults."""

    model_dir: Path = Path("/opt/models")
    active_model: str = "defect-detector-v17"
    threads: int = 2
    metrics_port: int | None = 9100
    timeout_s: float = 0.040

    @staticmethod
    def of(environment: Mapping[str, str]) -> Configuration:
        """Return what the environment says."""
        return Configuration(
            model_dir=Path(environment.get("MODEL_DIR", "/opt/models")),
            active_model=environment.get("ACTIVE_MODEL", "defect-detector-v17"),
            threads=int(environment.get("ORT_THREADS", "2")),
            metrics_port=int(environment.get("METRICS_PORT", "9100")),
            timeout_s=float(environment.get("INFER_TIMEOUT_S", "0.040")),
        )


class InferRequest(BaseModel):
    """A frame as a flat list, and where the caller draws the line."""

    tensor: list[float] = Field(min_length=ELEMENTS, max_length=ELEMENTS)
    threshold: float = Field(default=0.5, ge=0.0, le=1.0)
    correlation_id: str | None = Field(default=None, max_length=128)

    @field_validator("tensor")
    @classmethod
    def within_bounds(cls, tensor: list[float]) -> list[float]:
        """Compare minimum and maximum with the bounds: both comparisons are false for NaN."""
        values = np.asarray(tensor, dtype=np.float32)
        if values.min() < LOWEST or values.max() > HIGHEST:
            raise ValueError(f"tensor values must be within [{LOWEST}, {HIGHEST}]")
        return tensor


class InferAnswer(BaseModel):
    """What the caller gets."""

    defective: bool
    score: float
    latency_ms: float
    model_version: str
    correlation_id: str | None = None


class ReloadRequest(BaseModel):
    """The name of a file, without its ending."""

    model_name: str = Field(min_length=1, max_length=128)


class Monitoring:
    """The metrics hook that the article imports: a counter by label, a histogram of latencies."""

    def __init__(self, port: int | None) -> None:
        registry = CollectorRegistry()
        self.parts = Counter("inference", "Inferences.", ["label", "version"], registry=registry)
        self.latency = Histogram("latency_ms", "Of a run.", ["version"], registry=registry)
        self._server = None if port is None else start_http_server(port, registry=registry)[0]

    def record(self, latency_ms: float, *, label: str, version: str) -> None:
        """Count one inference."""
        self.parts.labels(label, version).inc()
        self.latency.labels(version).observe(latency_ms)

    def close(self) -> None:
        """Stop serving."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


@dataclass(slots=True, kw_only=True)
class _Outcome:
    """What a thread leaves: scores or an error, or neither while it runs."""

    scores: Any = None
    error: Exception | None = None


@dataclass(slots=True)
class ArticleService:
    """One session, replaced by reloads; the endpoints are its methods."""

    configuration: Configuration = field(default_factory=Configuration)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _session: Any = None
    _name: str = ""
    monitoring: Monitoring | None = None

    def start(self) -> None:
        """Load the model that the environment names, and serve metrics."""
        self.load(self.configuration.active_model)
        self.monitoring = Monitoring(self.configuration.metrics_port)

    def load(self, name: str) -> None:
        """Build a session from a file of this name and put it in place of the one before."""
        path = self.configuration.model_dir / f"{name}.onnx"
        if not path.exists():
            raise FileNotFoundError(f"no model at {path}")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self.configuration.threads
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(
            path.as_posix(), options, providers=["CUDAExecutionProvider", "CPUExecutionProvider"]
        )
        with self._lock:
            self._session, self._name = session, name

    def current(self) -> tuple[Any, str]:
        """Return session and name."""
        with self._lock:
            if self._session is None:
                raise RuntimeError("there is no session")
            return self._session, self._name

    def infer(self, request: InferRequest) -> InferAnswer:
        """Run in a thread of its own and wait for at most the time limit."""
        session, name = self.current()
        frame = np.asarray(request.tensor, dtype=np.float32).reshape(SHAPE)
        outcome = _Outcome()
        thread = threading.Thread(target=_run, args=(session, frame, outcome), daemon=True)
        start = time.perf_counter()
        thread.start()
        thread.join(self.configuration.timeout_s)
        latency_ms = (time.perf_counter() - start) * 1000.0
        if thread.is_alive():
            self._record(latency_ms, "timeout", name)
            raise HTTPException(503, "over the time limit: downstream must apply its fail-safe")
        if outcome.error is not None:
            self._record(latency_ms, "error", name)
            raise HTTPException(500, f"the runtime failed: {outcome.error}")
        score = float(outcome.scores[0][0])
        defective = score >= request.threshold
        self._record(latency_ms, "defective" if defective else "ok", name)
        return InferAnswer(
            defective=defective,
            score=score,
            latency_ms=latency_ms,
            model_version=name,
            correlation_id=request.correlation_id,
        )

    def reload_model(self, request: ReloadRequest) -> dict[str, str]:
        """Load another file; only its absence has an answer of its own."""
        try:
            self.load(request.model_name)
        except FileNotFoundError as error:
            raise HTTPException(404, str(error)) from error
        return {"status": "reloaded", "active_model": request.model_name}

    def healthz(self) -> dict[str, str]:
        """Say ok if there is a session."""
        _, name = self.current()
        return {"status": "ok", "active_model": name}

    def application(self) -> FastAPI:
        """Return the endpoints."""
        app = FastAPI(title="Inference as in the article")
        app.post("/infer", response_model=InferAnswer)(self.infer)
        app.post("/reload-model")(self.reload_model)
        app.get("/healthz")(self.healthz)
        return app

    def _record(self, latency_ms: float, label: str, name: str) -> None:
        if self.monitoring is not None:
            self.monitoring.record(latency_ms, label=label, version=name)


def _run(session: Any, frame: np.ndarray[Any, np.dtype[np.float32]], outcome: _Outcome) -> None:
    try:
        first_in, first_out = session.get_inputs()[0].name, session.get_outputs()[0].name
        outcome.scores = session.run([first_out], {first_in: frame})[0]
    except Exception as error:  # noqa: BLE001 - as in the article
        outcome.error = error


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=8000)
    service = ArticleService(Configuration.of(os.environ))
    service.start()
    uvicorn.run(
        service.application(), host="127.0.0.1", port=parser.parse_args().port, log_level="warning"
    )
