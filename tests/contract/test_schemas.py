"""The checked-in JSON Schemas are those of the code, and the documents keep them."""

from typing import Any

import pytest

from taktgate.contracts.schemas import DOCUMENTS, FOLDER, schema_path, schema_text


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: document.__name__)
def test_checked_in_schema_is_current(document: type[Any]) -> None:
    assert schema_path(document).read_text(encoding="utf-8") == schema_text(document), (
        "run: python -m taktgate.contracts.schemas"
    )


def test_no_schema_is_left_of_a_document_that_is_gone() -> None:
    assert set(FOLDER.glob("*.json")) == {schema_path(one) for one in DOCUMENTS}
