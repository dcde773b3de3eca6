"""edgeHub's copies of twins: relayed, caught up, served offline, durable."""

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.unit.standin.edgehub_bench import FakeHub

from taktgate.standin.azure.clock import ManualClock
from taktgate.standin.azure.edgehub.database import Database
from taktgate.standin.azure.edgehub.errors import StoreFullError
from taktgate.standin.azure.edgehub.twins import TwinPeriods, TwinStore
from taktgate.standin.azure.errors import TwinLimitError
from taktgate.standin.azure.json_types import JsonObject

MANAGER = (
    "Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Core/twin/"
    "StoringTwinManager.cs"
)
REPORTED = (
    "Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Core/twin/"
    "ReportedPropertiesStore.cs"
)


class TwinBench:
    def __init__(
        self,
        file: Path | None = None,
        *,
        hub: FakeHub | None = None,
        pull_s: Callable[[], float] = lambda: 0.0,
        push_s: float = 0.0,
        page_limit: int | None = None,
    ) -> None:
        self.hub = hub or FakeHub(m={"x": 1})
        self.clock = ManualClock()
        self.relayed: list[tuple[str, JsonObject, int]] = []
        self.twins = TwinStore(
            self.hub.link,
            lambda *change: self.relayed.append(change),
            database=Database(file, page_limit=page_limit),
            clock=self.clock,
            periods=TwinPeriods(pull_s=pull_s, push_s=push_s),
        )


@pytest.mark.azure(
    "edgeHub", "A desired patch that follows the stored version is relayed as it is", source=MANAGER
)
def test_next_patch_is_relayed_as_it_is() -> None:
    bench = TwinBench()
    bench.twins.document("m")
    bench.hub.change_desired("m", {"y": 2})
    assert bench.relayed == [("m", {"y": 2}, 2)]


@pytest.mark.azure(
    "edgeHub",
    "After a gap in the versions the whole twin is pulled and the difference is sent",
    source=MANAGER,
)
def test_patch_after_a_gap_becomes_the_difference() -> None:
    bench = TwinBench()
    bench.twins.document("m")
    bench.hub.link.is_online = False
    bench.hub.change_desired("m", {"missed": 1})
    bench.hub.link.is_online = True
    bench.hub.change_desired("m", {"y": 2})
    assert bench.relayed == [("m", {"missed": 1, "y": 2}, 3)]


@pytest.mark.azure(
    "edgeHub",
    "What was missed while offline is sent when the line is mended",
    source=MANAGER,
)
def test_difference_is_sent_when_the_line_is_mended() -> None:
    bench = TwinBench()
    bench.twins.document("m")
    bench.hub.link.set_online(False)
    bench.hub.change_desired("m", {"missed": 1})
    assert bench.relayed == []
    bench.hub.link.set_online(True)
    assert bench.relayed == [("m", {"missed": 1}, 2)]


@pytest.mark.azure(
    "edgeHub",
    "With MinTwinSyncPeriodSecs a twin that was pulled just before is not pulled again",
    source=MANAGER,
)
def test_twin_that_was_pulled_just_before_is_not_pulled_when_the_line_is_mended() -> None:
    bench = TwinBench(pull_s=lambda: 120.0)
    bench.twins.document("m")
    for passed_s, relayed in ((100, 0), (20, 1)):
        bench.hub.link.set_online(False)
        bench.hub.change_desired("m", {"missed": passed_s})
        bench.clock.advance(passed_s)
        bench.hub.link.set_online(True)
        assert len(bench.relayed) == relayed


@pytest.mark.azure(
    "edgeHub",
    "A twin that was never read online is empty and has no $version",
    source=MANAGER,
)
def test_twin_never_seen_is_empty_while_offline() -> None:
    bench = TwinBench()
    bench.hub.link.set_online(False)
    assert bench.twins.document("m") == {"desired": {}, "reported": {}}


@pytest.mark.azure(
    "edgeHub",
    "Twins and reports that the hub does not have yet survive an offline restart",
    source=REPORTED,
)
def test_twin_and_unsent_reports_survive_an_offline_restart(tmp_path: Path) -> None:
    before = TwinBench(tmp_path / "edgehub.db")
    before.twins.document("m")
    before.hub.link.set_online(False)
    before.twins.patch_reported("m", {"phase": "live", "gone": None})
    after = TwinBench(tmp_path / "edgehub.db", hub=FakeHub(m={"x": 1}))
    after.hub.link.set_online(False)
    document = after.twins.document("m")
    assert document["desired"] == {"x": 1, "$version": 1}
    assert document["reported"]["phase"] == "live"
    after.hub.link.set_online(True)
    assert after.hub.reported == [("m", {"phase": "live", "gone": None})]


@pytest.mark.azure(
    "edgeHub",
    "Reports are pushed at once, then at most every ReportedPropertiesSyncFrequencySecs",
    source=REPORTED,
)
def test_reports_within_the_period_are_pushed_as_one() -> None:
    bench = TwinBench(push_s=5.0)
    for number in range(3):
        bench.twins.patch_reported("m", {"n": number})
    assert bench.hub.reported == [("m", {"n": 0})]
    bench.clock.advance(5)
    assert bench.hub.reported[1:] == [("m", {"n": 2})]


@pytest.mark.azure(
    "edgeHub",
    "Reports are held to the limits of twins, and the answer names the field and the rule",
    source="Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Core/twin/"
    "ReportedPropertiesValidator.cs",
)
@pytest.mark.parametrize(
    ("report", "words"),
    [
        ({"a": 2**52}, "a: rule: integers within -4503599627370496..4503599627370495"),
        ({"a": -(2**52) - 1}, "a: rule: integers within"),
        ({"a": {"b\tc": 1}}, "a: name 'b.*c'; rule: no"),
        ({"a#": 1}, "name 'a#'; rule: no"),
        ({"a\x00": 1}, "rule: no"),
        ({"a": [1, [None]]}, "a: rule: no null in an array"),
        ({"a": [{"b": [None]}]}, "a: rule: no null in an array"),
        ({"a": "x" * 4097}, "a: rule: strings of at most 4096 bytes"),
        ({"x" * 1025: 1}, "rule: names of at most 1024 bytes"),
        ({f"a{n}": "x" * 4000 for n in range(9)}, "rule: at most 32768"),
    ],
)
def test_report_beyond_a_limit_is_refused_by_field_and_rule(report: JsonObject, words: str) -> None:
    with pytest.raises(TwinLimitError, match=words):
        TwinBench().twins.patch_reported("m", report)


@pytest.mark.parametrize(
    "report",
    [
        {"a": 2**52 - 1, "b": -(2**52)},
        {"a": [{"b": None}], "c": None},
        {"a": "x" * 4096, "x" * 1024: True},
    ],
)
def test_report_at_a_limit_is_taken(report: JsonObject) -> None:
    bench = TwinBench()
    bench.twins.patch_reported("m", report)
    assert bench.hub.reported == [("m", report)]


def test_reports_made_offline_are_pushed_as_one_patch() -> None:
    bench = TwinBench()
    bench.hub.link.set_online(False)
    bench.twins.patch_reported("m", {"a": {"x": 1, "y": 1}, "b": 1})
    bench.twins.patch_reported("m", {"a": {"x": None}})
    bench.hub.link.set_online(True)
    assert bench.hub.reported == [("m", {"a": {"x": None, "y": 1}, "b": 1})]


def test_refused_report_changes_nothing() -> None:
    bench = TwinBench()
    with pytest.raises(TwinLimitError, match=r"'a\.b'"):
        bench.twins.patch_reported("m", {"good": 1, "a.b": 1})
    assert bench.twins.document("m")["reported"] == {"$version": 1}
    assert bench.hub.reported == []


def test_report_without_room_for_it_changes_nothing(tmp_path: Path) -> None:
    bench = TwinBench(tmp_path / "edgehub.db", page_limit=12)
    bench.hub.link.set_online(False)
    taken = [f"n{number}" for number in range(7) if is_taken(bench, f"n{number}")]
    assert 0 < len(taken) < 7
    assert list(bench.twins.document("m")["reported"]) == taken


def is_taken(bench: TwinBench, name: str) -> bool:
    try:
        bench.twins.patch_reported("m", {name: "x" * 4000})
    except StoreFullError:
        return False
    return True
