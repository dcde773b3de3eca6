"""A client's view of its twin follows the hub's, whatever gets lost on the way."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from taktgate.standin.azure import twin_documents
from taktgate.standin.azure.fleet.twin_mirror import TwinMirror

NAMES = st.sampled_from(["a", "b", "c"])
LEAVES = st.none() | st.integers(0, 3)
VALUES = LEAVES | st.dictionaries(NAMES, LEAVES, max_size=2)
PATCHES = st.dictionaries(NAMES, VALUES, min_size=1, max_size=2)


def without_nulls(document: dict[str, Any]) -> dict[str, Any]:
    return twin_documents.merge({}, document)


@given(st.lists(st.tuples(PATCHES, st.booleans()), max_size=8))
def test_desired_is_the_hubs_whichever_patches_get_lost(
    changes: list[tuple[dict[str, Any], bool]],
) -> None:
    mirror, desired = TwinMirror(), dict[str, Any]()
    mirror.read({"desired": {"$version": 1}, "reported": {"$version": 1}})
    for version, (patch, is_lost) in enumerate(changes, start=2):
        desired = twin_documents.merge(desired, patch)
        if not is_lost and not mirror.patch_desired({**patch, "$version": version}, version):
            mirror.read({"desired": {**desired, "$version": version}, "reported": {}})
        assert mirror.version is not None
        if not is_lost:
            assert (mirror.version, mirror.desired) == (version, desired)


@given(st.lists(st.tuples(PATCHES, st.sampled_from(["taken", "refused", "lost"])), max_size=8))
def test_reports_bring_the_hub_to_the_newest_state(
    reports: list[tuple[dict[str, Any], str]],
) -> None:
    mirror, hub = TwinMirror(), dict[str, Any]()
    mirror.read({"desired": {"$version": 1}, "reported": {"$version": 1}})
    wanted: dict[str, Any] = {}
    for report, fate in [*reports, ({}, "taken"), ({}, "taken")]:
        wanted = without_nulls(report) or wanted
        patch = mirror.next_patch(wanted)
        if fate != "refused":
            hub = twin_documents.merge(hub, patch)
        if fate == "lost":  # the answer, with the connection
            mirror.disconnected()
            mirror.read({"desired": {"$version": 1}, "reported": {**hub, "$version": 2}})
        else:
            mirror.answered(is_taken=fate == "taken")
    assert hub == wanted


def test_one_report_is_under_way_at_a_time() -> None:
    mirror = TwinMirror()
    mirror.read({"desired": {}, "reported": {}})
    assert mirror.next_patch({"a": 1}) == {"a": 1}
    assert mirror.next_patch({"a": 2}) == {}
    mirror.answered(is_taken=True)
    assert mirror.next_patch({"a": 2}) == {"a": 2}


def test_a_twin_without_news_is_none() -> None:
    mirror = TwinMirror()
    twin = {"desired": {"a": 1, "$version": 3}, "reported": {"$version": 1}}
    assert mirror.read(twin)
    assert not mirror.read(twin)
