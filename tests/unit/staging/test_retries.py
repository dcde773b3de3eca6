"""What is tried again, when, and how often: from the order desk down to a real folder."""

import os
from pathlib import Path

import pytest

from taktgate.bundle.signing import TrustedKeys
from taktgate.contracts.twins import StagingPhase
from taktgate.staging.errors import DeniedError
from taktgate.staging.fetch.download_file import CHUNK_BYTES
from taktgate.staging.states import MAX_UNFINISHED
from taktgate.standin.faulty_files import Fault, FaultyFileSystem, PowerCutError
from taktgate.standin.staging import MemoryRegistry, StagerRig


def test_a_token_that_is_renewed_at_its_url_lets_a_denied_order_go_on(
    rig: StagerRig, registry: MemoryRegistry
) -> None:
    registry.error = DeniedError("403")
    rig.order("1.0.0")
    rig.work()
    report = rig.desk.report()
    assert report.lastError is not None
    assert (report.phase, report.lastError.reason) == (StagingPhase.FETCHING, "DENIED")
    assert report.lastError.retryAt == "2026-11-22T12:01:00+00:00"
    rig.work(seconds=59)
    assert len(registry.fetched) == 1
    registry.error = None
    rig.work(seconds=1)
    assert rig.announced_verifies()


def test_a_disk_that_takes_not_even_the_outcome_is_not_tried_twice_a_second(
    tmp_path: Path, registry: MemoryRegistry, keys: TrustedKeys
) -> None:
    files = FaultyFileSystem(fault=Fault.READ_ONLY, at=8)
    rig = StagerRig(tmp_path, registry=registry, keys=keys, files=files)
    rig.order("1.0.0")
    told = set()
    for _ in range(200):
        rig.work(seconds=0.5)
        error = rig.desk.report().lastError
        assert error is not None, "also while it waits"
        assert error.reason == "DISK"
        told.add(error.retryAt)
    assert len(registry.fetched) < 10
    assert None not in told
    files.lift()
    rig.work(seconds=300)
    assert rig.announced_verifies()
    assert rig.desk.report().lastError is None


def test_ten_power_cuts_in_one_long_download_do_not_end_the_order(
    rig: StagerRig, registry: MemoryRegistry, keys: TrustedKeys, tmp_path: Path
) -> None:
    registry.error = PowerCutError()  # type: ignore[assignment]
    rig.order("1.0.0")
    with pytest.raises(PowerCutError):
        rig.work()
    for chunks in range(1, 11):
        download = rig.slots_root / ".0123456789abcdef.download"
        download.touch()
        os.truncate(download, chunks * CHUNK_BYTES + 1)
        restarted = StagerRig(tmp_path, registry=registry, keys=keys)
        restarted.stager.recover()
        assert restarted.journal.record.phase is StagingPhase.FETCHING
    for _ in range(MAX_UNFINISHED):
        restarted = StagerRig(tmp_path, registry=registry, keys=keys)
        restarted.stager.recover()
    error = restarted.desk.report().lastError
    assert error is not None
    assert error.reason == "RESTART_LOOP"
