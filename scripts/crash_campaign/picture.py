"""The states of each scenario and what became of them, as one SVG.

Drawn by hand: one kind of bar is not worth a plotting library.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final
from xml.sax.saxutils import escape

_WIDTH, _LEFT, _RIGHT = 960, 170, 150
_ROW, _TOP, _MARGIN = 20, 64, 24
_TICKS: Final = 5
_KINDS: Final = (
    ("old", "boots the model before", "#3b5bdb"),
    ("new", "boots the new model", "#1b6e5a"),
    ("none", "boots none: there is none to trust", "#9aa0a6"),
    ("violations", "violates an invariant", "#c8102e"),
)
_INK, _GREY, _PALE, _PAPER = "#222222", "#666666", "#dddddd", "#ffffff"


def picture(scenarios: Sequence[Mapping[str, Any]]) -> str:
    """Return a bar for each of *scenarios*, as long as it has states, by what their boot decides.

    A scenario has its `name`, its `states`, and how many of them are `old`, `new`, `none` and
    `violations`.
    """
    most = max((int(each["states"]) for each in scenarios), default=1)
    scale = (_WIDTH - _LEFT - _RIGHT) / max(1, most)
    height = _TOP + _ROW * len(scenarios) + 2 * _MARGIN
    total = sum(int(each["states"]) for each in scenarios)
    title = f"{total:,} states that a power cut can leave, by scenario and boot decision"
    body = [f'<text x="{_LEFT}" y="22" font-size="16" fill="{_INK}">{title}</text>', *_legend()]
    body += _axis(most, scale, height)
    for number, scenario in enumerate(scenarios):
        body += _bar(scenario, scale, _TOP + _ROW * number)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}"'
        f' width="{_WIDTH}" height="{height}" font-family="sans-serif" font-size="12" role="img"'
        f' aria-label="{title}">'
    )
    paper = f'<rect width="{_WIDTH}" height="{height}" fill="{_PAPER}"/>'
    return "\n".join([head, paper, *body, "</svg>", ""])


def _legend() -> Iterator[str]:
    place = float(_LEFT)
    for _, what, colour in _KINDS:
        yield f'<rect x="{place:.0f}" y="36" width="11" height="11" fill="{colour}"/>'
        yield f'<text x="{place + 16:.0f}" y="46" fill="{_INK}">{escape(what)}</text>'
        place += 40 + 6.2 * len(what)


def _axis(most: int, scale: float, height: float) -> Iterator[str]:
    step = max(100, round(most / _TICKS / 100) * 100)
    for value in range(0, most + 1, step):
        x = _LEFT + value * scale
        foot = height - 2 * _MARGIN
        yield f'<line x1="{x:.1f}" y1="{_TOP - 6}" x2="{x:.1f}" y2="{foot}" stroke="{_PALE}"/>'
        yield (
            f'<text x="{x:.1f}" y="{foot + 16}" fill="{_GREY}" text-anchor="middle">{value}</text>'
        )


def _bar(scenario: Mapping[str, Any], scale: float, top: float) -> Iterator[str]:
    base = top + 12
    name = escape(str(scenario["name"]))
    yield f'<text x="{_LEFT - 8}" y="{base}" fill="{_INK}" text-anchor="end">{name}</text>'
    x = float(_LEFT)
    for kind, what, colour in _KINDS:
        width = int(scenario[kind]) * scale
        if width:
            label = f"{name}: {scenario[kind]} {what}"
            yield (
                f'<rect x="{x:.1f}" y="{top + 2}" width="{width:.1f}" height="13"'
                f' fill="{colour}"><title>{label}</title></rect>'
            )
        x += width
    yield f'<text x="{x + 6:.1f}" y="{base}" fill="{_GREY}">{scenario["states"]}</text>'
