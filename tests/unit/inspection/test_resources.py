import os
from dataclasses import replace
from pathlib import Path

import pytest

from taktgate.inspection.agent.resources import DeviceSampler, KernelFiles, with_gpu, with_memory
from taktgate.inspection.guardrails.resource_or_drift import ResourceSample

NOTHING = ResourceSample()


def places(folder: Path, *, throttles: int, kills: int) -> KernelFiles:
    heat = folder / "cpu/cpu0/thermal_throttle"
    heat.mkdir(parents=True, exist_ok=True)
    (heat / "core_throttle_count").write_text(f"{throttles}\n")
    (folder / "memory.events").write_text(f"low 0\noom 3\noom_kill {kills}\n")
    return KernelFiles(proc=folder / "proc", cpus=folder / "cpu", cgroup=folder)


def test_heat_and_kills_are_told_when_their_counters_rise(tmp_path: Path) -> None:
    sampler = DeviceSampler(places(tmp_path, throttles=5, kills=1))
    calm = sampler.sample()
    places(tmp_path, throttles=6, kills=2)
    hot = sampler.sample()
    after = sampler.sample()

    assert (calm.is_throttled, calm.is_out_of_memory) == (False, False)
    assert (hot.is_throttled, hot.is_out_of_memory) == (True, True)
    assert (after.is_throttled, after.is_out_of_memory) == (False, False)


def test_what_a_device_does_not_tell_is_unknown_and_not_well(tmp_path: Path) -> None:
    nowhere = KernelFiles(proc=tmp_path, cpus=tmp_path, cgroup=tmp_path)
    sample = with_memory(DeviceSampler(nowhere).sample(), 1, nowhere)

    assert (sample.is_throttled, sample.is_out_of_memory) == (None, None)
    assert (sample.runner_rss_mb, sample.judge_rss_mb) == (None, None)


def test_memory_is_that_of_the_runner_and_of_its_parent() -> None:
    sample = with_memory(NOTHING, os.getpid())

    assert sample.runner_rss_mb is not None
    assert 5 < sample.runner_rss_mb < 4000
    assert sample.judge_rss_mb is not None
    assert with_memory(NOTHING, None) == NOTHING


@pytest.mark.parametrize("said", ["", "N/A, 3, Active", "12", "[Not Supported], , "])
def test_a_gpu_that_says_nothing_usable_is_unknown(said: str) -> None:
    assert with_gpu(NOTHING, said) == NOTHING


def test_a_gpu_tells_memory_load_and_heat() -> None:
    sample = with_gpu(NOTHING, "2048, 81, Active\n100, 1, Not Active\n")

    assert sample == replace(NOTHING, gpu_memory_mb=2048.0, gpu_share=0.81, is_throttled=True)
