"""The figures as a picture: percentiles side by side on a logarithmic scale, as one SVG.

Drawn by hand: three kinds of marks on one axis are not worth a plotting library.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

from benches.plc_bench.figures import Figures

_WIDTH, _LEFT, _RIGHT = 960, 230, 40
_LABEL_CHARACTER = 6.2
_ROW, _TITLE, _AXIS, _MARGIN = 24, 44, 46, 16
_MARKS: Final = (
    ("p50_us", "p50", "#1b6e5a"),
    ("p99_us", "p99", "#d98a00"),
    ("p999_us", "p99.9", "#b5532a"),
    ("max_us", "max", "#8a1538"),
)
_INK, _GREY, _PALE, _PAPER, _LIMIT = "#222222", "#777777", "#dddddd", "#ffffff", "#3b5bdb"
_UNITS: Final = ((1_000_000.0, "s"), (1_000.0, "ms"), (1.0, "us"))


@dataclass(frozen=True, slots=True)
class _Scale:
    """A logarithmic axis over whole decades, in us."""

    low: int
    high: int
    left: float

    def x(self, value_us: float) -> float:
        """Return the place of *value_us*."""
        share = (math.log10(max(value_us, 10.0**self.low)) - self.low) / (self.high - self.low)
        return self.left + share * (_WIDTH - self.left - _RIGHT)


def picture(tables: Mapping[str, Sequence[Figures]], limits_us: Mapping[str, float]) -> str:
    """Return *tables* as an SVG: a panel each with its limit, if it has one, and a row a case."""
    body: list[str] = []
    top = _MARGIN
    for name, table in tables.items():
        body += _panel(name, table, limits_us.get(name), top)
        top += _TITLE + _ROW * len(table) + _AXIS
    body += _legend(top)
    height = top + 2 * _MARGIN
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
        f' width="{_WIDTH}" height="{height}" font-family="sans-serif" font-size="13">'
    )
    paper = f'<rect width="{_WIDTH}" height="{height}" fill="{_PAPER}"/>'
    return "\n".join([head, paper, *body, "</svg>", ""])


def _panel(
    name: str, table: Sequence[Figures], limit_us: float | None, top: float
) -> Iterator[str]:
    left = max(_LEFT, _MARGIN + _LABEL_CHARACTER * max(len(_label(each)) for each in table))
    scale = _scale(table, limit_us or 1.0, left)
    bottom = top + _TITLE + _ROW * len(table)
    yield _text(_MARGIN, top + 24, name, size=16, weight="bold")
    for decade in range(scale.low, scale.high + 1):
        x = scale.x(10.0**decade)
        yield _line(x, top + _TITLE - 6, x, bottom, _PALE)
        yield _text(x, bottom + 16, _readable(10.0**decade), anchor="middle", colour=_GREY)
    if limit_us is not None:
        x = scale.x(limit_us)
        yield _line(x, top + _TITLE - 6, x, bottom, _LIMIT, width=2)
        yield _text(x, top + _TITLE - 12, f"limit {_readable(limit_us)}", anchor="middle", size=11)
    for index, each in enumerate(table):
        yield from _row(each, scale, top + _TITLE + _ROW * (index + 0.5))


def _row(each: Figures, scale: _Scale, y: float) -> Iterator[str]:
    yield _text(scale.left - 12, y + 4, _label(each), anchor="end", size=12)
    yield _line(scale.x(each.p50_us), y, scale.x(each.max_us), y, _GREY)
    # The median last: where marks lie on each other it is the one to be seen.
    for attribute, _, colour in reversed(_MARKS):
        x = scale.x(getattr(each, attribute))
        yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="5" fill="{colour}"/>'
    at = scale.x(each.p50_us) - 10
    yield _text(at, y + 4, _readable(each.p50_us), anchor="end", size=11, colour=_GREY)


def _label(each: Figures) -> str:
    return f"{each.case} (n = {each.samples})"


def _legend(top: float) -> Iterator[str]:
    for index, (_, label, colour) in enumerate(_MARKS):
        x = _LEFT + 90 * index
        yield f'<circle cx="{x}" cy="{top}" r="5" fill="{colour}"/>'
        yield _text(x + 12, top + 4, label)


def _scale(table: Sequence[Figures], limit_us: float, left: float) -> _Scale:
    """Return the axis; half a decade stays free at the left for the medians' figures."""
    smallest = min(each.p50_us for each in table)
    largest = max(limit_us, *(each.max_us for each in table))
    low = math.floor(math.log10(max(smallest, 1.0)) - 0.4)
    return _Scale(low, max(math.ceil(math.log10(max(largest, 1.0))), low + 1), left)


def _readable(value_us: float) -> str:
    divisor, unit = next((each for each in _UNITS if value_us >= each[0]), _UNITS[-1])
    return f"{value_us / divisor:.3g} {unit}"


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, width: int = 1) -> str:
    return (
        f'<path d="M{x1:.1f} {y1:.1f}L{x2:.1f} {y2:.1f}" stroke="{colour}"'
        f' stroke-width="{width}" fill="none"/>'
    )


def _text(
    x: float,
    y: float,
    text: str,
    *,
    anchor: str = "start",
    size: int = 13,
    colour: str = _INK,
    weight: str = "normal",
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}"'
        f' font-weight="{weight}" fill="{colour}">{escape(text)}</text>'
    )
