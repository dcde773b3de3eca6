"""Torch, ONNX and ONNX Runtime, loaded for training alone: no lock holds torch."""

from __future__ import annotations

import importlib
import os
from typing import Any, Final

HOW_TO_INSTALL: Final = (
    "training needs packages that the line does not; add them to .venv with"
    " python3 -m pip --python .venv/bin/python install torch onnx onnxscript"
    " (the CPU build of torch is enough)"
)


class TrainingStackError(Exception):
    """A package that only training needs is not installed."""


def load(name: str) -> Any:
    """Return the package *name*, for example "torch".

    Raises:
        TrainingStackError: The package is not installed; says how to install it.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise TrainingStackError(f"{error.name} is not installed: {HOW_TO_INSTALL}") from error
