"""What the documents name is there."""

import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from crash_campaign.checks import INVARIANTS

ROOT = Path(__file__).parents[2]
DOCUMENTS = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "modules").rglob("README.md")),
]
CODE_PATH = re.compile(r"`((?:[\w.-]+/)+[\w.-]+\.(?:py|md|yaml|json|toml))(?::\w+)?`")
BARE_NAME = re.compile(r"`(\w+\.py)`")
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)")
BASES = (ROOT, ROOT / "src", ROOT / "src" / "taktgate", ROOT / "docs")
MADE_AT_RUN_TIME = {
    "config/trusted_root.json",
    "etc/taktgate/station.yaml",
    "registry/metadata/1.root.json",
}


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_file_that_a_document_names_exists(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    named = set(CODE_PATH.findall(text)) - MADE_AT_RUN_TIME
    missing = [
        path
        for path in sorted(named)
        if not any((base / path).exists() for base in (*BASES, document.parent))
    ]
    assert missing == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_python_file_that_a_document_names_without_its_folder_exists(document: Path) -> None:
    files = {
        path.name
        for folder in ("src", "modules", "scripts")
        for path in (ROOT / folder).rglob("*.py")
    }
    assert set(BARE_NAME.findall(document.read_text(encoding="utf-8"))) <= files


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_every_link_of_a_document_leads_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    missing = [link for link in LINK.findall(text) if not (document.parent / link).exists()]
    assert missing == []


def test_page_on_power_cuts_says_what_must_hold() -> None:
    text = (ROOT / "docs/power-cuts.md").read_text(encoding="utf-8")
    table = text.partition("## What must hold")[2].partition("\n\n")[2].partition("\n\n")[0]
    rows = dict(re.findall(r"^\| (.+?) \| (.+?) \|$", table, flags=re.MULTILINE))
    assert {name: rows.get(name) for name in INVARIANTS} == INVARIANTS
    assert rows.keys() - INVARIANTS.keys() == {"invariant"}
