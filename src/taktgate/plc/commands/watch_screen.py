"""The picture of `taktgate plc watch` in a terminal: command, status and the eight slots."""

from collections.abc import Mapping, Sequence
from typing import Final, Self

from rich.box import SIMPLE
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from taktgate.contracts.verdict import Verdict
from taktgate.plc.commands.snapshot import HEARTBEATS, HeartbeatAge, Members, Snapshot, word
from taktgate.plc.contract.tags import COMMAND_TAG, DECISIONS, RESULT, RESULT_TAG, STATUS_TAG

STALE_S: Final = 0.4
"""The PLC's watchdog: a heartbeat that stands longer is a fault."""
KEPT_S: Final = 1.0
"""A change stays marked for so long."""
_CHANGED: Final = "bold black on yellow"
_BITS: Final = {member.name for member in RESULT.members if member.bit is not None}
_PASS: Final = DECISIONS[Verdict.PASS]

Ages = Mapping[str, float]
Changes = Mapping[str, Sequence[str]]


def picture(title: str, now: Snapshot, changes: Changes, ages: Ages) -> RenderableType:
    """Return the whole screen. *ages* are seconds since each heartbeat changed, by element."""
    head = Table.grid(padding=(0, 3))
    head.add_row(
        _members(COMMAND_TAG.name, now.command, changes, ages, columns=1),
        _members(STATUS_TAG.name, now.status, changes, ages, columns=2),
    )
    return Group(Text(title, style="bold"), head, _slots(now, changes))


def _members(
    element: str, members: Members, changes: Changes, ages: Ages, *, columns: int
) -> Table:
    """Return the members in *columns* of names and values, top to bottom."""
    table = Table(title=element, title_justify="left", show_header=False, box=None)
    cells = [("heartbeat age", _age(ages[element]))]
    cells += [(name, _cell(element, name, members, changes)) for name in members]
    height = -(-len(cells) // columns)
    for _ in range(columns):
        table.add_column(style="dim")
        table.add_column(min_width=11)
    for row in range(height):
        table.add_row(*(part for cell in cells[row::height] for part in cell))
    return table


def _age(age_s: float) -> Text:
    return Text(f"{age_s:.1f} s", style="bold red" if age_s > STALE_S else "green")


def _slots(now: Snapshot, changes: Changes) -> Table:
    title = f"{RESULT_TAG.name} (slot = TriggerId AND 7; Valid, Pass, Reject, Late: x is set)"
    table = Table(title=title, title_justify="left", box=SIMPLE, padding=(0, 1, 0, 0))
    table.add_column("", justify="right")
    for member in RESULT.members:
        is_bit = member.bit is not None
        table.add_column(member.name[0] if is_bit else member.name, justify="right", no_wrap=True)
    for slot, members in enumerate(now.slots):
        element = f"{RESULT_TAG.name}[{slot}]"
        cells = [_cell(element, name, members, changes) for name in members]
        table.add_row(str(slot), *cells, style=_slot_style(members))
    return table


def _slot_style(members: Members) -> str:
    if members["SeqBegin"] != members["SeqEnd"]:
        return "bold red"
    if not members["Valid"]:
        return "dim"
    return "green" if members["Decision"] == _PASS else "red"


def _cell(element: str, name: str, members: Members, changes: Changes) -> Text:
    value = members[name]
    if name in _BITS and element.startswith(RESULT_TAG.name):
        text = "x" if value else "."
    else:
        text = word(element, name, value)
    return Text(text, style=_CHANGED if name in changes.get(element, ()) else "")


class Screen:
    """Draws each reading in the same place; a change stays marked for a second."""

    def __init__(self, title: str, *, is_live: bool) -> None:
        self._title = title
        self._console = Console()
        self._live = Live(console=self._console, auto_refresh=False) if is_live else None
        self._ages = {element: HeartbeatAge() for element, _ in HEARTBEATS}
        self._last: Snapshot | None = None
        self._changed_s: dict[tuple[str, str], float] = {}

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._live is not None:
            self._live.stop()

    def show(self, now: Snapshot, at_s: float) -> None:
        """Draw *now*."""
        for element, names in (now.changes_since(self._last) if self._last else {}).items():
            self._changed_s.update({(element, name): at_s for name in names})
        self._last = now
        fresh: dict[str, list[str]] = {}
        for (element, name), changed_s in self._changed_s.items():
            if at_s - changed_s <= KEPT_S:
                fresh.setdefault(element, []).append(name)
        ages = {
            element: self._ages[element].observe(now.elements[element][name], at_s)
            for element, name in HEARTBEATS
        }
        self._draw(picture(self._title, now, fresh, ages))

    def lose(self, why: str) -> None:
        """Draw why there is no reading."""
        self._draw(Text(f"{self._title}\nno reading: {why}", style="bold red"))

    def _draw(self, what: RenderableType) -> None:
        if self._live is None:
            self._console.print(what)
        else:
            self._live.update(what, refresh=True)
