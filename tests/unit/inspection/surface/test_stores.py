from pathlib import Path

from taktgate.inspection.surface.stores import Stores


def test_place_that_is_made_with_the_first_part_is_no_fault_before(tmp_path: Path) -> None:
    assert Stores({"records": tmp_path / "state/records"}).faults() == {"records": ""}


def test_place_that_cannot_be_made_is_a_fault() -> None:
    assert Stores({"records": Path("/proc/1/records")}).faults()["records"]
