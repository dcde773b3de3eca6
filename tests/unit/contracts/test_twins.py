"""Desired properties: what the cloud may ask, and how a mistake is named."""

import pytest

from taktgate.contracts.codec import ContractError
from taktgate.contracts.twins import read_desired

ORDER = {"name": "weld-seam", "version": "1.0.0", "order": "o-1"}


def test_a_full_order_is_read() -> None:
    desired = read_desired({"model": ORDER, "repository": "https://host/models", "$version": 3})
    assert desired.model is not None
    assert desired.model.order == "o-1"


@pytest.mark.parametrize("document", [{}, {"model": None}, {"$version": 9}])
def test_a_missing_or_null_order_asks_for_nothing(document: dict[str, object]) -> None:
    assert read_desired(document).model is None


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"modell": ORDER}, "modell"),
        ({"model": {**ORDER, "version": "../../evil"}}, "model.version"),
        ({"model": {**ORDER, "name": "/tmp/x"}}, "model.name"),
        ({"model": {**ORDER, "order": ""}}, "model.order"),
        ({"model": {**ORDER, "activation": "now"}}, "model.activation"),
        ({"model": {"name": "weld-seam", "version": "1.0.0"}}, "model.order"),
        ({"model": "weld-seam"}, "model"),
        ({"repository": "ftp://host"}, "repository"),
    ],
)
def test_a_bad_property_is_refused_by_name(document: dict[str, object], field: str) -> None:
    with pytest.raises(ContractError) as caught:
        read_desired(document)
    assert caught.value.field == field
