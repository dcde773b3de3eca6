"""docs/local-azure.md says what the tests show: its tables are made from them."""

import os
import re
from pathlib import Path

import pytest

from taktgate.standin.azure.quirks import QUIRKS
from taktgate.standin.azure.world import page

ROOT = Path(__file__).parents[2]
MARK = '@pytest.mark.azure("{}", "{}", source="{}")\n'
TEST = "def test_it() -> None: ...\n"


def marked(system: str = "routes", claim: str = "It is so", source: str = "Azure/iotedge#1") -> str:
    return MARK.format(system, claim, source) + TEST


def test_page_is_what_tests_and_quirks_say() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert text == page.filled(text, page.current_tables()), "run scripts/conformance_table"


def test_command_is_executable_and_sets_up_what_it_needs() -> None:
    script = ROOT / "scripts/conformance_table"
    assert os.access(script, os.X_OK)
    assert "scripts/bootstrap" in script.read_text(encoding="utf-8")


def test_claims_are_read_without_running_the_test() -> None:
    (claim,) = page.claims_in("raise SystemExit\n" + marked(), "tests/x.py")
    assert (claim.system, claim.claim, claim.test) == ("routes", "It is so", "test_it")


@pytest.mark.parametrize("words", ['BASE + "/b.cs"', 'f"{BASE}/b.cs"'])
def test_text_that_the_file_names_may_be_joined(words: str) -> None:
    mark = f'@pytest.mark.azure("routes", "It is so", source={words})\n'
    (claim,) = page.claims_in('BASE = "Azure/x a"\n' + mark + TEST, "tests/x.py")
    assert claim.source == "Azure/x a/b.cs"


def test_marks_of_a_class_and_of_parameters_count() -> None:
    parameter = 'pytest.param(1, marks=pytest.mark.azure("edgeHub", "Inner", source="Azure/x#1"))'
    method = f'    @pytest.mark.parametrize("n", [{parameter}])\n    def test_n(self, n): ...\n'
    assert [each.claim for each in page.claims_in("class TestX:\n" + method, "f")] == ["Inner"]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (marked(system="edgehub"), "system is one of edgeHub, routes"),
        (marked(claim=""), "not empty"),
        ('@pytest.mark.azure("routes", f"{1}", source="y")\n' + TEST, "literal texts"),
        ('@pytest.mark.azure("routes", UNKNOWN + "x", source="y")\n' + TEST, "literal texts"),
        ('@pytest.mark.azure("routes", "x")\n' + TEST, "source="),
        ('pytestmark = pytest.mark.azure("routes", "x", source="y")\n', "decorates a test"),
        (MARK.format("routes", "x", "y") + "def helper() -> None: ...\n", "decorates a test"),
    ],
)
def test_mark_that_would_be_lost_is_refused(text: str, rule: str) -> None:
    with pytest.raises(page.MarkError, match=rule):
        page.claims_in(text, "tests/x.py")


def test_claim_that_two_tests_show_is_one_row() -> None:
    claims = page.claims_in(marked() + marked().replace("test_it", "test_that"), "tests/x.py")
    table = page.conformance_table(claims)
    assert table.count("It is so") == 1
    assert "[test_it](../tests/x.py), [test_that](../tests/x.py)" in table


def test_claim_with_a_bar_stays_in_its_cell() -> None:
    table = page.conformance_table(page.claims_in(marked(claim="a || b"), "tests/x.py"))
    assert len(re.findall(r"(?<!\\)\|", table.splitlines()[-1])) == 4


@pytest.mark.parametrize(
    ("source", "address"),
    [
        (
            "learn.microsoft.com/azure/iot-hub/x#401003",
            "https://learn.microsoft.com/azure/iot-hub/x#401003",
        ),
        ("Azure/iotedge#2955", "https://github.com/Azure/iotedge/issues/2955"),
        ("Azure/iotedge edge-hub/a/B.cs", "https://github.com/Azure/iotedge/blob/main/edge-hub/a/B.cs"),
        ("Azure/iotedge doc/E.md, Name", "https://github.com/Azure/iotedge/blob/main/doc/E.md"),
    ],
)  # fmt: skip
def test_source_leads_to_its_page(source: str, address: str) -> None:
    assert f"]({address})" in page.linked(source)


def test_source_without_an_address_stays_text() -> None:
    assert page.linked("azure-iot-device 2.14, some file") == "azure-iot-device 2.14, some file"


def test_page_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="lacks <!-- quirks: begin -->"):
        page.filled("no comment here", {"quirks": "x"})


def test_every_quirk_is_on_the_page() -> None:
    text = page.PAGE.read_text(encoding="utf-8")
    assert [name for name in QUIRKS if f"| `{name}` |" not in text] == []
