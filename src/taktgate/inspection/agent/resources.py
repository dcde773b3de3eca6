"""What this device bears: memory of judge and runner, heat, kills for want of memory, the GPU.

What a device does not tell is None, never a guess. Counters of the kernel are compared with the
sample before. A CPU quota of the container is not looked at: where one is set, being held back by
it is the normal state and says nothing about a model.
"""

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from taktgate.inspection.guardrails.resource_or_drift import ResourceSample

EVERY_S: Final = 5.0
GPU_LIMIT_S: Final = 2.0
_MEGABYTE: Final = 1 << 20
_GPU_QUERY: Final = (
    "nvidia-smi",
    "--query-gpu=memory.used,utilization.gpu,clocks_throttle_reasons.hw_thermal_slowdown",
    "--format=csv,noheader,nounits",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class KernelFiles:
    """Where the kernel tells."""

    proc: Path = Path("/proc")
    cpus: Path = Path("/sys/devices/system/cpu")
    cgroup: Path = Path("/sys/fs/cgroup")


class DeviceSampler:
    """Looks at the device as a whole; may take as long as a call of the GPU's own tool."""

    def __init__(self, files: KernelFiles) -> None:
        self._files = files
        self._gpu = shutil.which(_GPU_QUERY[0])
        self._throttled = self._throttle_count()
        self._killed = self._kill_count()

    def sample(self) -> ResourceSample:
        """Return what there is to be seen, and what happened since the sample before."""
        throttled, self._throttled = self._throttled, self._throttle_count()
        killed, self._killed = self._killed, self._kill_count()
        sample = ResourceSample(
            is_throttled=_has_risen(throttled, self._throttled),
            is_out_of_memory=_has_risen(killed, self._killed),
        )
        return sample if self._gpu is None else with_gpu(sample, self._ask_gpu())

    def _throttle_count(self) -> int | None:
        files = self._files.cpus.glob("cpu[0-9]*/thermal_throttle/*_throttle_count")
        return _sum(_number(path) for path in files)

    def _kill_count(self) -> int | None:
        try:
            lines = (self._files.cgroup / "memory.events").read_text().splitlines()
        except OSError:
            return None
        counts = dict(line.split() for line in lines if len(line.split()) == 2)
        return int(counts["oom_kill"]) if counts.get("oom_kill", "").isdecimal() else None

    def _ask_gpu(self) -> str:
        assert self._gpu is not None
        try:
            done = subprocess.run(
                [self._gpu, *_GPU_QUERY[1:]],
                capture_output=True,
                text=True,
                timeout=GPU_LIMIT_S,
                check=True,
            )
        except (OSError, subprocess.SubprocessError):
            return ""
        return done.stdout


def with_gpu(sample: ResourceSample, said: str) -> ResourceSample:
    """Return *sample* with what nvidia-smi *said* of the first GPU; as it is when that is nothing.

    One line per GPU: memory in MiB, load in %, `Active` or `Not Active`.
    """
    fields = [field.strip() for field in said.partition("\n")[0].split(",")]
    try:
        memory_mb, share, heat = float(fields[0]), float(fields[1]) / 100, fields[2]
    except (IndexError, ValueError):
        return sample
    is_throttled = sample.is_throttled or heat == "Active"
    return replace(sample, gpu_memory_mb=memory_mb, gpu_share=share, is_throttled=is_throttled)


def with_memory(
    sample: ResourceSample, runner: int | None, files: KernelFiles = KernelFiles()
) -> ResourceSample:
    """Return *sample* with the memory of the live runner and of the judge, its parent."""
    if runner is None:
        return sample
    judge = _parent(files.proc / str(runner) / "stat")
    return replace(
        sample,
        runner_rss_mb=_rss_mb(files.proc / str(runner) / "statm"),
        judge_rss_mb=None if judge is None else _rss_mb(files.proc / str(judge) / "statm"),
    )


def _rss_mb(statm: Path) -> float | None:
    """Return the resident memory; the second field of proc(5) statm, in pages."""
    try:
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / _MEGABYTE
    except (OSError, IndexError, ValueError):
        return None


def _parent(stat: Path) -> int | None:
    """Return the parent; the second field after the command's closing parenthesis, proc(5)."""
    try:
        return int(stat.read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError, ValueError):
        return None


def _has_risen(before: int | None, now: int | None) -> bool | None:
    return None if before is None or now is None else now > before


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _sum(counts: Iterable[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None
