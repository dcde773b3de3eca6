"""The tables of `docs/local-azure.md`: made from the tests' marks and from the table of quirks.

A test that shows what Azure does is marked with `pytest.mark.azure(system, claim, source=...)`. The
marks are read from the tests' text, without running them, so their words must be literals, or
texts that the file itself names (`EDGELET = "..."`), joined by `+` or in an f-string.
"""

import argparse
import ast
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from taktgate.standin.azure.quirks import QUIRKS, Measure, Quirk

ROOT: Final = Path(__file__).parents[5]
PAGE: Final = ROOT / "docs/local-azure.md"
SYSTEMS: Final = ("edgeHub", "routes", "edgeAgent", "workload API", "IoT Hub", "deployments")
EXIT_SAME, EXIT_DIFFERENT, EXIT_BAD_MARK = 0, 1, 2
_LEARN: Final = re.compile(r"learn\.microsoft\.com/(?P<page>[^\s,]+)(?P<rest>.*)")
_ISSUE: Final = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)#(?P<number>\d+)(?P<rest>.*)")
_FILE: Final = re.compile(r"(?P<repository>Azure/[\w.-]+) (?P<path>[\w./-]+)(?P<rest>.*)")


class MarkError(ValueError):
    """A mark breaks a rule; the message names file, line and rule."""

    def __init__(self, place: str, rule: str) -> None:
        super().__init__(f"{place}: pytest.mark.azure; rule: {rule}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One thing that the local Azure does as Azure does, and the test that shows it."""

    system: str
    claim: str
    source: str
    file: str
    """Below the repository's root."""
    test: str


def collect(root: Path) -> list[Claim]:
    """Return the claims of all tests below `root/tests`, in the order of their files.

    Raises:
        MarkError: A mark has no literals, names an unknown system, or is on no test.
    """
    return [
        claim
        for path in sorted((root / "tests").rglob("test_*.py"))
        for claim in claims_in(path.read_text(encoding="utf-8"), str(path.relative_to(root)))
    ]


def claims_in(text: str, file: str) -> list[Claim]:
    """Return the claims of one file of tests.

    Raises:
        MarkError: As `collect`.
    """
    tree = ast.parse(text, filename=file)
    tests = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    ]
    marked = [
        (test, mark)
        for test in tests
        for decorator in test.decorator_list
        for mark in _marks_in(decorator)
    ]
    on_tests = {id(mark) for _, mark in marked}
    for mark in _marks_in(tree):
        if id(mark) not in on_tests:
            raise MarkError(f"{file}:{mark.lineno}", "it decorates a test")
    names = _named_texts(tree)
    claims = [_claim(mark, names, file=file, test=test.name) for test, mark in marked]
    return sorted(set(claims), key=claims.index)


def conformance_table(claims: Iterable[Claim]) -> str:
    """Return the Markdown tables of *claims*, one for each system."""
    known = list(claims)
    parts = []
    for system in SYSTEMS:
        rows = list(_rows([each for each in known if each.system == system]))
        if rows:
            head = [f"### {system}", "", "| claim | source | shown by |", "|---|---|---|"]
            parts.append("\n".join([*head, *rows]))
    return "\n\n".join(parts)


def quirk_table(quirks: Iterable[Quirk]) -> str:
    """Return the Markdown table of *quirks*."""
    head = ["| quirk | of | number | what it does | what it copies |", "|---|---|---|---|---|"]
    rows = (
        _row(f"`{each.name}`", each.system, _number(each), each.does, linked(each.copies))
        for each in quirks
    )
    return "\n".join([*head, *rows])


def linked(source: str) -> str:
    """Return *source* as a Markdown link, if it is a page, a file or an issue of Microsoft's."""
    if found := _LEARN.fullmatch(source):
        name = found["page"].rsplit("/", 1)[-1]
        return f"[learn: {name}](https://learn.microsoft.com/{found['page']}){found['rest']}"
    if found := _ISSUE.fullmatch(source):
        where = f"https://github.com/{found['repository']}/issues/{found['number']}"
        return f"[{found['repository']}#{found['number']}]({where}){found['rest']}"
    if (found := _FILE.fullmatch(source)) and "/" in found["path"]:
        name = found["path"].rsplit("/", 1)[-1]
        where = f"https://github.com/{found['repository']}/blob/main/{found['path']}"
        return f"[{name}]({where}) in {found['repository']}{found['rest']}"
    return source


def filled(page: str, tables: Mapping[str, str]) -> str:
    """Return *page* with each of *tables* between its two comments.

    Raises:
        ValueError: A comment is missing.
    """
    for name, table in tables.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, has_begin, rest = page.partition(begin)
        _, has_end, after = rest.partition(end)
        if not (has_begin and has_end):
            raise ValueError(f"the page lacks {begin} or {end}")
        page = f"{before}{begin}\n\n{table}\n\n{end}{after}"
    return page


def current_tables(root: Path = ROOT) -> Mapping[str, str]:
    """Return the tables as tests and quirks are now.

    Raises:
        MarkError: As `collect`.
    """
    return MappingProxyType(
        {
            "conformance": conformance_table(collect(root)),
            "quirks": quirk_table(QUIRKS.values()),
        }
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the tables into the page, or compare them; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="scripts/conformance_table",
        description="Write the tables of docs/local-azure.md from the tests' marks and the quirks.",
        epilog="example: scripts/conformance_table --check",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if they differ")
    options = parser.parse_args(arguments)
    page = PAGE.read_text(encoding="utf-8")
    try:
        wanted = filled(page, current_tables())
    except ValueError as error:
        sys.stderr.write(f"conformance_table: {error}\n")
        return EXIT_BAD_MARK
    if wanted == page:
        return EXIT_SAME
    if options.check:
        sys.stderr.write("docs/local-azure.md is not up to date: run scripts/conformance_table\n")
        return EXIT_DIFFERENT
    PAGE.write_text(wanted, encoding="utf-8")
    return EXIT_SAME


def _marks_in(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.azure":
            yield node


def _claim(mark: ast.Call, names: Mapping[str, str], *, file: str, test: str) -> Claim:
    place = f"{file}:{mark.lineno}"
    if len(mark.args) != 2 or [each.arg for each in mark.keywords] != ["source"]:
        raise MarkError(place, 'azure("system", "claim", source="...")')
    texts = [_text(word, names) for word in (*mark.args, mark.keywords[0].value)]
    if not all(texts):
        raise MarkError(place, "its words are literal texts that are not empty")
    system, claim, source = map(str, texts)
    if system not in SYSTEMS:
        raise MarkError(place, f"system is one of {', '.join(SYSTEMS)}")
    return Claim(system=system, claim=claim, source=source, file=file, test=test)


def _named_texts(tree: ast.Module) -> dict[str, str]:
    """Return the texts that a file names at its top level."""
    names: dict[str, str] = {}
    for node in tree.body:
        target = node.targets[0] if isinstance(node, ast.Assign) else None
        if isinstance(node, ast.Assign) and isinstance(target, ast.Name):
            text = _text(node.value, names)
            if text is not None:
                names[target.id] = text
    return names


def _text(node: ast.expr, names: Mapping[str, str]) -> str | None:
    """Return the text that *node* stands for, or None when that is not known without running it."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.Name(id=name):
            return names.get(name)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _joined([_text(left, names), _text(right, names)])
        case ast.JoinedStr(values=values):
            return _joined([_text(value, names) for value in values])
        case ast.FormattedValue(value=value, format_spec=None):
            return _text(value, names)
        case _:
            return None


def _joined(parts: Sequence[str | None]) -> str | None:
    known = [part for part in parts if part is not None]
    return "".join(known) if len(known) == len(parts) else None


def _rows(claims: Sequence[Claim]) -> Iterator[str]:
    """Yield a row for each claim; what several tests show is said once."""
    for text in dict.fromkeys(each.claim for each in claims):
        same = [each for each in claims if each.claim == text]
        sources = dict.fromkeys(linked(each.source) for each in same)
        tests = dict.fromkeys(f"[{each.test}](../{each.file})" for each in same)
        yield _row(text.removesuffix("."), "; ".join(sources), ", ".join(tests))


def _row(*cells: str) -> str:
    escaped = (" ".join(cell.split()).replace("|", "\\|") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def _number(quirk: Quirk) -> str:
    if quirk.measure in (Measure.SWITCH, Measure.ACTION):
        return str(quirk.measure)
    return f"{quirk.measure}, {quirk.default:g} if not given"


if __name__ == "__main__":
    sys.exit(main())
