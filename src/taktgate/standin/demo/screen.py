"""What a person sees of a run: a live table in a terminal, plain lines in a log, a summary."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final

from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from taktgate.contracts.verdict import Verdict
from taktgate.standin.demo.tally import Part, Tally

_ROWS: Final = 12
_COLUMNS: Final = {
    "station": 9,
    "part": 6,
    "image": 9,
    "verdict": 11,
    "why": 14,
    "gate": 6,
    "ms": 3,
    "lane": 7,
}
"""The least width of each column: a table that changes its shape cannot be read."""
_STYLES: Final = {
    Verdict.PASS: "green",
    Verdict.FAIL: "red",
    Verdict.NO_DECISION: "yellow",
    Verdict.LATE: "magenta",
}


class Screen:
    """Shows one or more tallies while they fill."""

    def __init__(self, console: Console, tallies: Mapping[str, Tally], *, expected: int) -> None:
        self._console = console
        self._tallies = tallies
        self._expected = expected
        self._note = ""
        self._shown = 0
        self._live = (
            Live(console=console, refresh_per_second=4, transient=True)
            if console.is_terminal
            else None
        )

    def __enter__(self) -> "Screen":
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def note(self, text: str) -> None:
        """Show what is going on besides the parts."""
        if text == self._note:
            return
        self._note = text
        if self._live is None:
            self._console.print(text)
        else:
            self.refresh()

    def refresh(self) -> None:
        """Show the newest state."""
        if self._live is not None:
            self._live.update(self._picture())
            return
        parts = sum(len(tally.parts) for tally in self._tallies.values())
        if parts >= self._shown + 20:
            self._shown = parts
            self._console.print(self._progress())

    def _progress(self) -> str:
        return "  ".join(
            f"{name}: {len(tally.parts)} parts, "
            + ", ".join(
                f"{count} {verdict}" for verdict, count in tally.verdicts().items() if count
            )
            for name, tally in self._tallies.items()
        )

    def _picture(self) -> Group:
        table = Table(title="parts at the reject gate", title_justify="left", expand=False)
        for column, width in _COLUMNS.items():
            table.add_column(column, justify="right" if column == "ms" else "left", min_width=width)
        rows = [
            (name, tally, part) for name, tally in self._tallies.items() for part in tally.parts
        ]
        rows.sort(key=lambda row: row[2].trigger_ns)
        for name, tally, part in rows[-_ROWS:]:
            table.add_row(*_row(name, tally, part))
        return Group(table, Text(self._progress()), Text(self._note, style="dim"))


def _row(name: str, tally: Tally, part: Part) -> Sequence[Text]:
    style = _STYLES[part.verdict]
    return [
        Text(name),
        Text(str(part.trigger_id)),
        Text(tally.truth.get(part.trigger_id, "")),
        Text(part.verdict.value, style=style),
        Text("" if part.reason == "NONE" else part.reason),
        Text(part.gate, style="green" if part.gate == "accept" else "red"),
        Text("" if part.ack_ms is None else f"{part.ack_ms:.0f}"),
        Text(tally.lanes.get(part.trigger_id, "")),
    ]


def print_summary(console: Console, name: str, figures: Mapping[str, Any]) -> None:
    """Print the figures of one station as a table that a person can check by eye."""
    table = Table(title=f"{name}: {figures['parts']} parts", title_justify="left", box=None)
    table.add_column(style="dim")
    table.add_column()
    latency, lanes = figures["latency_ms"], figures["lanes"]
    model = figures["model"]
    rows = {
        "verdicts": _counts(figures["verdicts"]),
        "no decision because": _counts(figures["reasons"]) or "-",
        "against the labels": f"{figures['right']} right, {figures['wrong_pass']} wrong PASS, "
        f"{figures['wrong_fail']} wrong FAIL",
        "reject gate": _counts(figures["gate"]),
        "unsafe PASS": str(figures["unsafe_pass"]),
        "unexplained": f"{figures['unexplained_gate_actions']} gate actions, "
        f"{figures['unexplained_silent']} silent parts, "
        f"{figures['second_verdicts']} second verdicts",
        "trigger to acknowledge": f"p50 {latency['p50']} ms, p95 {latency['p95']} ms, "
        f"p99 {latency['p99']} ms (n = {latency['n']})",
        "lanes": _counts(lanes),
        "model": "-" if model is None else f"{model['name']} {model['version']}",
        "broken or seen to break": ", ".join(fault["name"] for fault in figures["faults"]) or "-",
    }
    for label, text in rows.items():
        table.add_row(label, text)
    console.print(table)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)
