from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.inspection.records.parts import MODEL, record

from taktgate.contracts.codec import encode
from taktgate.inspection.records.bounded_folder import BoundedFolder, Bounds
from taktgate.inspection.records.journal import Journal, find_part, read_records

YEAR_S = 365 * 24 * 3600.0
LINE = len(encode(record(1))) + 1


def bounds(lines: int) -> Bounds:
    return Bounds(max_bytes=lines * LINE, max_age_s=YEAR_S)


def sequences(folder: Path) -> list[int]:
    return [each.envelope.sequence for each in read_records(folder)]


def test_records_come_back_in_order_over_segments_and_starts(tmp_path: Path) -> None:
    for start in (1, 4):
        journal = Journal(tmp_path, bounds(100), segment_bytes=2 * LINE)
        for sequence in range(start, start + 3):
            journal.append(record(sequence))
        journal.close()

    assert sequences(tmp_path) == [1, 2, 3, 4, 5, 6]
    assert len(list(tmp_path.iterdir())) == 4


def test_the_disk_never_holds_more_than_it_may_and_the_oldest_go_first(tmp_path: Path) -> None:
    journal = Journal(tmp_path, bounds(10), segment_bytes=3 * LINE)
    for sequence in range(1, 9):
        for _ in range(5):
            journal.append(record(sequence))
        assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 10 * LINE
    journal.close()

    left = sequences(tmp_path)
    assert left == sorted(left)
    assert left[-1] == 8
    assert len(left) >= 6


def test_a_line_torn_by_a_power_cut_costs_that_line_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path, bounds(100))
    for sequence in (1, 2):
        journal.append(record(sequence))
    journal.close()
    (segment,) = tmp_path.iterdir()
    segment.write_bytes(segment.read_bytes()[:-20])
    again = Journal(tmp_path, bounds(100))
    again.append(record(3))
    again.close()

    assert sequences(tmp_path) == [1, 3]


def test_a_record_larger_than_the_whole_room_is_refused_by_the_settings_name(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path, Bounds(max_bytes=10, max_age_s=YEAR_S))

    with pytest.raises(OSError, match=r"records\.parts_mb"):
        journal.append(record(1))


def test_files_beyond_their_age_go_and_younger_ones_stay(tmp_path: Path) -> None:
    now_s = 1000.0
    folder = BoundedFolder(
        tmp_path, "*", Bounds(max_bytes=100, max_age_s=60.0), wall_s=lambda: now_s
    )
    for name, at_s in (("a", 1000.0), ("b", 1050.0)):
        now_s = at_s
        (tmp_path / name).write_bytes(b"x")
        folder.add(name, 1)
    now_s = 1070.0

    folder.prune()

    assert [path.name for path in tmp_path.iterdir()] == ["b"]
    assert (folder.size_bytes, folder.removed) == (1, 1)


@pytest.mark.parametrize("lines", [2, 50])
def test_the_newest_record_of_a_part_is_found_in_any_segment(tmp_path: Path, lines: int) -> None:
    journal = Journal(tmp_path, bounds(100), segment_bytes=lines * LINE)
    for sequence in range(1, 7):
        journal.append(record(sequence))
    again = replace(record(9), envelope=replace(record(9).envelope, trigger_id=1002))
    journal.append(again)
    journal.close()

    assert find_part(tmp_path, 1001) == record(1)
    assert find_part(tmp_path, 1002) == again, "the PLC has counted anew since"
    assert find_part(tmp_path, 1002, by=MODEL.digest) == again
    assert find_part(tmp_path, 1002, by="sha256:" + "b" * 64) is None
    assert find_part(tmp_path, 100) is None


def test_a_line_that_stood_for_longer_than_records_are_kept_records_again(tmp_path: Path) -> None:
    a_day = Bounds(max_bytes=100 * LINE, max_age_s=24 * 3600.0)
    now_s = 1000.0
    journal = Journal(tmp_path, a_day, wall_s=lambda: now_s)
    journal.append(record(1))
    now_s += 3 * a_day.max_age_s
    journal.append(record(2))
    now_s += 3 * a_day.max_age_s
    journal.tick()
    journal.append(record(3))
    journal.close()

    assert sequences(tmp_path) == [3]


def test_what_people_put_beside_the_records_neither_stops_them_nor_is_removed(
    tmp_path: Path,
) -> None:
    strange = tmp_path / "parts-before-the-repair.jsonl"
    strange.write_bytes(b"{}\n")
    journal = Journal(tmp_path, bounds(10), segment_bytes=3 * LINE)
    for sequence in range(1, 30):
        journal.append(record(sequence))
    journal.close()

    assert strange.exists()
    assert sequences(tmp_path)[-1] == 29
