"""What docs/plc-guide.md says of faults and codes is what the tests and the tag table say."""

import ast
import re
from pathlib import Path

from taktgate.plc.contract.tags import ERROR_CODES, StatusError

ROOT = Path(__file__).parents[2]
GUIDE = (ROOT / "docs" / "plc-guide.md").read_text(encoding="utf-8")
BEHAVIOUR = ROOT / "tests" / "faults" / "test_plc_behaviour.py"
TABLES = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
CODE = re.compile(r"\b(\d+) ([A-Z][A-Z_]{3,})\b")


def letters(text: str) -> str:
    """Return *text* without what a name in Python cannot have."""
    return re.sub(r"[^a-z0-9]", "", text.lower())


def test_the_first_fault_table_has_a_row_for_each_test_of_the_behaviour_and_no_other() -> None:
    tree = ast.parse(BEHAVIOUR.read_text(encoding="utf-8"))
    tests = [
        node.name.removeprefix("test_")
        for node in tree.body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]
    faults = TABLES.findall(GUIDE.partition("## 5. What each fault looks like")[2])[0]
    rows = [line.split("|")[1].partition("(")[0] for line in faults.splitlines()[2:]]
    assert [letters(row) for row in rows] == [letters(test) for test in tests]


def test_each_code_that_the_guide_names_has_that_number() -> None:
    known = {(str(int(code)), code.name) for code in StatusError}
    known |= {(str(code), reason.name) for reason, code in ERROR_CODES.items()}
    named = set(CODE.findall(GUIDE))
    assert named
    assert named - known == set()
