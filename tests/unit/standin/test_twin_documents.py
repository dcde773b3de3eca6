"""Twin documents: a difference, merged, always gives the new document."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.standin.azure.errors import TwinLimitError
from taktgate.standin.azure.twin_documents import check_limits, difference, merge, merge_patches

NAMES = st.sampled_from(["a", "b", "c", "d"])
LEAVES = st.one_of(st.integers(-5, 5), st.booleans(), st.text(max_size=3), st.just([1, 2]))
DOCUMENTS = st.dictionaries(
    NAMES,
    st.recursive(LEAVES, lambda inner: st.dictionaries(NAMES, inner, max_size=3), max_leaves=6),
    max_size=4,
)


def nested(levels: int) -> dict[str, Any]:
    return {"a": nested(levels - 1) if levels else 1}


@given(DOCUMENTS, DOCUMENTS)
def test_difference_merged_into_the_old_gives_the_new(
    old: dict[str, Any], new: dict[str, Any]
) -> None:
    assert merge(old, difference(old, new)) == new


@given(DOCUMENTS)
def test_equal_documents_have_no_difference(document: dict[str, Any]) -> None:
    assert difference(document, document) == {}


@pytest.mark.azure(
    "edgeHub",
    "A twin may be ten levels deep",
    source="learn.microsoft.com/azure/iot-hub/iot-hub-devguide-device-twins",
)
def test_ten_levels_are_allowed() -> None:
    check_limits(nested(10))


def test_merged_patches_keep_what_they_delete() -> None:
    assert merge_patches({"a": {"x": 1}, "b": 1}, {"a": {"x": None}, "b": None}) == {
        "a": {"x": None},
        "b": None,
    }


@pytest.mark.azure(
    "edgeHub",
    "A twin beyond a limit of size, depth, length or name is refused with field and rule",
    source="learn.microsoft.com/azure/iot-hub/iot-hub-devguide-device-twins",
)
@pytest.mark.parametrize(
    ("document", "rule"),
    [
        ({"a": "x" * 40_000}, "at most 32768"),
        ({"a": "x" * 5000}, "strings of at most"),
        ({"a.b": 1}, "no '.'"),
        ({"a": {"b c": 1}}, "a: name 'b c'"),
        ({"a": [1, None]}, "no null"),
        ({"a": 2**53}, "integers within"),
        (nested(11), "levels"),
        ({"a": "\ud800"}, "Unicode text"),
        ({"\udfff": 1}, "Unicode text"),
    ],
)
def test_document_beyond_a_limit_is_refused(document: dict[str, Any], rule: str) -> None:
    with pytest.raises(TwinLimitError, match=rule):
        check_limits(document)


def test_edge_hub_may_use_its_own_names() -> None:
    check_limits({"routes": {"$upstream.x": "y"}}, allow_edge_names=True)
