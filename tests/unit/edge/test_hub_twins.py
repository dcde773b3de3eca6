"""Desired documents by version, and reported state that converges whatever was lost."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.edge.hub_twins import DesiredState, ReportedState, VersionGapError, merge

PATCHES = st.lists(
    st.dictionaries(
        st.sampled_from("abc"),
        st.none()
        | st.integers(0, 3)
        | st.dictionaries(st.sampled_from("xy"), st.none() | st.integers(0, 3)),
        max_size=3,
    ),
    max_size=6,
)


def test_patches_are_merged_into_the_whole_document() -> None:
    state = DesiredState()
    first = state.replace({"model": {"v": 1, "n": "a"}, "$version": 4})
    assert first is not None
    assert (first.document, first.version) == ({"model": {"v": 1, "n": "a"}}, 4)
    second = state.patch({"model": {"v": 2, "n": None}, "$version": 5})
    assert second is not None
    assert (second.document, second.version) == ({"model": {"v": 2}}, 5)


@pytest.mark.parametrize("version", [3, 4])
def test_older_or_equal_version_is_ignored(version: int) -> None:
    state = DesiredState()
    state.replace({"a": 1, "$version": 4})
    assert state.patch({"a": 2, "$version": version}) is None
    assert state.replace({"a": 1, "$version": version}) is None


@pytest.mark.parametrize("patch", [{"a": 2, "$version": 6}, {"a": 2}])
def test_gap_in_the_versions_asks_for_the_whole_document(patch: dict[str, Any]) -> None:
    state = DesiredState()
    state.replace({"a": 1, "$version": 4})
    with pytest.raises(VersionGapError):
        state.patch(patch)


def test_patch_before_the_first_document_asks_for_it() -> None:
    with pytest.raises(VersionGapError):
        DesiredState().patch({"a": 1, "$version": 0})


def test_delivered_document_is_a_copy() -> None:
    state = DesiredState()
    first = state.replace({"model": {"v": 1}, "$version": 1})
    assert first is not None
    first.document["model"]["v"] = 9  # type: ignore[index]
    second = state.patch({"b": 1, "$version": 2})
    assert second is not None
    assert second.document["model"] == {"v": 1}


def test_only_what_changed_is_sent_and_all_of_it_after_a_connect() -> None:
    state = ReportedState()
    state.report({"phase": "idle", "n": 1})
    state.connected({})
    assert state.take_patch() == {"phase": "idle", "n": 1}
    state.confirm()
    state.report({"n": 2})
    assert state.take_patch() == {"n": 2}
    state.confirm()
    assert state.take_patch() == {}
    state.connected({"phase": "idle", "n": 2, "$version": 3})
    assert state.take_patch() == {"phase": "idle", "n": 2}


def test_names_that_this_process_never_reported_are_left_alone() -> None:
    state = ReportedState()
    state.report({"mine": 1})
    state.connected({"other": 2, "mine": {"old": 1}})
    assert state.take_patch() == {"mine": 1}


def test_a_refused_report_is_sent_with_the_next_change() -> None:
    state = ReportedState()
    state.connected({})
    state.report({"inspection": {"phase": "trial", "order": "o2"}})
    server = state.take_patch()
    state.confirm()
    state.report({"inspection": {"phase": "live", "confirmedOrder": "o2"}})
    state.take_patch()
    state.refuse()
    state.report({"inspection": {"parts": 60}})
    server = merge(server, state.take_patch())
    assert server == {
        "inspection": {"phase": "live", "order": "o2", "confirmedOrder": "o2", "parts": 60}
    }


def test_what_is_reported_while_a_report_is_under_way_is_sent_after_it() -> None:
    state = ReportedState()
    state.connected({})
    state.report({"phase": "idle", "old": 1})
    server = state.take_patch()
    state.report({"phase": "live", "old": None})
    state.confirm()
    assert merge(server, state.take_patch()) == {"phase": "live"}


@given(PATCHES, st.lists(st.sampled_from(["taken", "lost", "refused"]), min_size=6, max_size=6))
def test_server_converges_whatever_send_was_lost_or_refused(
    patches: list[dict[str, Any]], fates: list[str]
) -> None:
    state = ReportedState()
    server: dict[str, Any] = {}
    wanted: dict[str, Any] = {}
    state.connected(server)
    for patch, fate in zip(patches, fates, strict=False):
        state.report(patch)
        wanted = merge(wanted, patch)
        sent = state.take_patch()
        if fate == "lost":
            state.connected(server)
        elif fate == "refused":
            state.refuse()
        else:
            server = merge(server, sent)
            state.confirm()
    server = merge(server, state.take_patch())
    assert server == wanted
