"""docs/plc-tags.md says what the tag table says."""

from pathlib import Path

from taktgate.plc.ladder.tag_docs import DOCUMENT, render

ROOT = Path(__file__).parents[4]


def test_the_document_is_current() -> None:
    assert (ROOT / DOCUMENT).read_text(encoding="utf-8") == render(), (
        "run: python -m taktgate.plc.ladder.tag_docs"
    )
