"""The figures of a run as pieces of a Markdown page, each between the marks of its section.

A page has `<!-- figures: NAME -->` and `<!-- end -->` where those of section NAME belong; what lies
between them is replaced, the rest is the author's.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

_MARKED: Final = re.compile(r"(<!-- figures: (\w+) -->\n).*?(<!-- end -->)", re.DOTALL)


def filled(page: str, document: Mapping[str, Any]) -> str:
    """Return *page* with the sections that *document*, a run's JSON, has measured."""

    def fill(found: re.Match[str]) -> str:
        section = document["sections"].get(found[2])
        if section is None:
            return found[0]
        return found[1] + "\n".join(_section(section, document)) + "\n" + found[3]

    return _MARKED.sub(fill, page)


def _section(section: Mapping[str, Any], document: Mapping[str, Any]) -> Iterator[str]:
    its = document["machine"]
    yield (
        f"{its['cpus']} cores, Python {its['python']}, load {its['load_1_min']:.1f},"
        f" real-time rights {'granted' if its['realtime'] else 'not granted'};"
        f" {section['seconds']:.0f} s{', quick' if document['quick'] else ''}."
    )
    yield ""
    for name, rows in section["tables"].items():
        yield from _table(name, rows)
    for note in section["notes"]:
        yield f"* {note}"
    if section["notes"]:
        yield ""
    yield "| line | measured | met |"
    yield "|---|---|---|"
    for line in section["lines"]:
        yield f"| {line['promise']} | {line['measured']} | {'yes' if line['kept'] else '**no**'} |"


def _table(name: str, rows: list[Mapping[str, Any]]) -> Iterator[str]:
    yield f"| {name}, ms | n | p50 | p99 | p99.9 | max |"
    yield "|---|--:|--:|--:|--:|--:|"
    for row in rows:
        times = " | ".join(f"{row[f'{each}_us'] / 1000:.3f}" for each in _PERCENTILES)
        yield f"| {row['case'].strip()} | {row['samples']} | {times} |"
    yield ""


_PERCENTILES: Final = ("p50", "p99", "p999", "max")
