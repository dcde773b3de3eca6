"""The runtime fingerprint: a model that passed golden under one has not passed under another."""

import hashlib
import platform
from pathlib import Path
from typing import Final

_CPU_INFO: Final = Path("/proc/cpuinfo")
_NVIDIA_DRIVER: Final = Path("/proc/driver/nvidia/version")


def runtime_fingerprint(
    *,
    runtime_version: str,
    provider: str,
    cpu_info: Path = _CPU_INFO,
    driver: Path = _NVIDIA_DRIVER,
) -> str:
    """Return ONNX Runtime's version, provider, CPU flags and GPU driver as one short text."""
    return "/".join(
        (
            f"ort-{runtime_version}",
            provider,
            f"{platform.machine()}-{_short(_cpu_flags(cpu_info))}",
            f"driver-{_short(_first_line(driver)) if driver.exists() else 'none'}",
        )
    )


def runtime_in(fingerprint: str) -> str:
    """Return ONNX Runtime's version by a *fingerprint* of `runtime_fingerprint`."""
    return fingerprint.partition("/")[0].removeprefix("ort-")


def _cpu_flags(cpu_info: Path) -> str:
    """Return the instruction sets of the first core, in a stable order."""
    for line in _lines(cpu_info):
        key, _, value = line.partition(":")
        if key.strip() in ("flags", "Features"):
            return " ".join(sorted(value.split()))
    return ""


def _first_line(path: Path) -> str:
    return next(iter(_lines(path)), "")


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def _short(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]
