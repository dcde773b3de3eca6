"""Power cuts and refusing disks: a sample of what scripts/crash_points goes through whole."""

import gc
import os
import random
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from crash_campaign.campaign import Campaign, silent
from crash_campaign.disk import Volume, states_of, torn_lengths, torn_writes
from crash_campaign.full_start import start_all, stratified
from crash_campaign.mutants import MUTANTS, Mutant, broken_texts
from crash_campaign.proof import asked, difference, is_possible, prove
from crash_campaign.report import coverage, rows_of, rows_to_cover, uncovered
from crash_campaign.tools_here import small_and_silent

from taktgate.standin.recorded_files import Call, EscapeError, Kind, nothing_escapes

pytestmark = pytest.mark.timeout(1800)
"""The workers give way to all else, so they may have to wait until that has come to its end."""
SEED = 1
WORKERS = os.cpu_count() or 1


@pytest.fixture(scope="module")
def campaign() -> Iterator[Campaign]:
    memory = "/dev/shm" if Path("/dev/shm").is_dir() else None
    with (
        small_and_silent(),
        tempfile.TemporaryDirectory(prefix="taktgate-crash-", dir=memory) as folder,
    ):
        yield Campaign(Path(folder), seed=SEED)
    gc.unfreeze()  # as the campaign froze what it held for its workers


def test_any_of_500_power_cuts_leaves_a_station_that_goes_on_with_the_old_or_new_model(
    campaign: Campaign,
) -> None:
    cases = campaign.sample(500, SEED)
    assert len(cases) >= 500
    assert {case.scenario for case in cases} == set(campaign.recordings)
    assert campaign.run(cases, workers=WORKERS, progress=silent) == []


def test_a_disk_that_refuses_delays_an_order_and_breaks_nothing(campaign: Campaign) -> None:
    cases = random.Random(SEED).sample(campaign.fault_cases(), 30)
    assert campaign.run_faults(cases, workers=WORKERS, progress=silent) == []


def test_whole_campaign_has_at_least_15_000_states(campaign: Campaign) -> None:
    assert len(campaign.cases) >= 15_000


def test_the_power_goes_in_every_row_of_the_state_tables(campaign: Campaign) -> None:
    assert uncovered(coverage(campaign, campaign.cases)) == []


def test_real_processes_come_to_a_verdict_on_what_a_power_cut_left(campaign: Campaign) -> None:
    cases = stratified(campaign, 2, SEED)
    assert start_all(campaign, cases, silent, limit_s=60) == []


def test_a_hundred_full_starts_cover_every_row_of_the_state_tables(campaign: Campaign) -> None:
    cases = stratified(campaign, 100, SEED)
    assert set(rows_to_cover()) <= {row for case in cases for row in rows_of(campaign, case)}


@pytest.mark.skipif(not is_possible(), reason="strace is not here")
def test_recording_is_what_the_kernel_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = Path(__file__).parents[2]
    paths = (str(root), str(root / "scripts"), os.environ.get("PYTHONPATH", ""))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    assert prove(tmp_path) is None


def test_a_call_that_was_not_recorded_is_noticed() -> None:
    lines = [
        '7 openat(AT_FDCWD, "/recording-begins", O_RDONLY) = -1 ENOENT (No such file)',
        '7 rename("/s/a", "/s/b") = 0',
        "7 fsync(5</s/b> <unfinished ...>",
        '8 unlink("/elsewhere") = 0',
        "7 <... fsync resumed>) = 0",
        '7 openat(AT_FDCWD, "/recording-ends", O_RDONLY) = -1 ENOENT (No such file)',
    ]
    kernel = list(asked(lines, "/s"))
    assert kernel == [("rename", "a", "b", 0), ("fsync", "b", "", 0)]
    assert difference(kernel, kernel) is None
    assert "call 1" in str(difference(kernel[:1], kernel))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_text_of_a_mutant_is_there_once(mutant: Mutant) -> None:
    assert set(broken_texts(mutant)) == {file for file, _, _ in mutant.edits}


def test_a_write_beside_the_port_is_noticed(tmp_path: Path) -> None:
    with nothing_escapes(tmp_path), pytest.raises(EscapeError):
        (tmp_path / "file").write_bytes(b"")


def call(kind: Kind, path: str, *, handle: int = 0, to: str = "", data: bytes = b"") -> Call:
    return Call(kind=kind, path=path, handle=handle, to=to, data=data)


PUBLISH = [
    call(Kind.CREATE, "t", handle=1),
    call(Kind.WRITE, "t", handle=1, data=b"new!"),
    call(Kind.SYNC, "t", handle=1),
    call(Kind.CLOSE, "t", handle=1),
    call(Kind.RENAME, "t", to="f"),
    call(Kind.SYNC_FOLDER, ""),
]


def left(calls: list[Call]) -> set[bytes | None]:
    """Return what the file f may hold after all of *calls*."""
    volume = Volume({"f": b"old"})
    for each in calls:
        volume.play(each)
    return {state.tree.get("f") for state in volume.states(0, None, random.Random(SEED))}


def test_model_of_the_disk_keeps_a_rename_with_both_syncs() -> None:
    assert left(PUBLISH) == {b"new!"}


def test_model_of_the_disk_loses_a_rename_without_the_folders_sync() -> None:
    assert left(PUBLISH[:-1]) == {b"old", b"new!"}


def test_model_of_the_disk_keeps_a_rename_and_loses_bytes_without_the_files_sync() -> None:
    found = left([each for each in PUBLISH if each.kind is not Kind.SYNC])
    assert {b"new!", b"", b"ne", bytes(4)} < found
    assert b"old" not in found


def test_model_of_the_disk_puts_unsynced_names_in_any_order() -> None:
    names = [call(Kind.MAKE_FOLDER, name) for name in ("a", "b")]
    trees = {frozenset(cut.state.tree) for cut in states_of({}, names, seed=SEED)}
    assert trees == {frozenset(each) for each in ((), "a", "b", "ab")}


def test_a_write_is_torn_at_its_edges_and_at_every_block() -> None:
    assert torn_lengths(9000) == [0, 1, 512, 4096, 4500, 8192, 8999]
    assert {len(data) for _, data in torn_writes(b"12345678")} == {0, 1, 4, 7, 8}
