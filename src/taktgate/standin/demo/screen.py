"""What a person sees of a run: a live table in a terminal, plain lines in a log, a summary."""

from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Final

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from taktgate.contracts.verdict import Verdict
from taktgate.standin.demo.model_fault_kinds import MODEL_FAULTS
from taktgate.standin.demo.plc_fault_kinds import PLC_FAULTS
from taktgate.standin.demo.plc_report import FaultReport
from taktgate.standin.demo.tally import Part, Tally
from taktgate.standin.demo.turns import Turn

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
_BELT_COLUMNS: Final = 32
_BEHIND_FLAP: Final = 4
_PART_CELLS: Final = {
    "waiting": ("o", "yellow"),
    "accepted": ("O", "green"),
    "rejected": ("x", "red"),
}
_FAULT_COLUMNS: Final = (
    *("fault", "at", "for", "writer\nsaw it", "PLC\nsaw it"),
    *("parts\nlost", "un-\nsafe", "odd\ngate", "back\nafter"),
)
_FAULT_LEGEND: Final = (
    "times in seconds. saw it: after the strike, the writer by its tags and metrics, the PLC by "
    "its watchdog or its own standstill. parts lost: rejected without a FAIL until the line was "
    "back. odd gate: actions that the verdict does not explain. back after: from the fault's end."
)
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
        self._belt = Text()
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

    @property
    def is_live(self) -> bool:
        """Tell whether a person looks: only then is the belt worth asking for."""
        return self._live is not None

    def show_belt(self, status: Mapping[str, Any]) -> None:
        """Show where the parts of the PLC's *status* are, and what its lamps say."""
        self._belt = belt_picture(status)

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
        table = _table("parts at the reject gate")
        for column, width in _COLUMNS.items():
            table.add_column(column, justify="right" if column == "ms" else "left", min_width=width)
        rows = [
            (name, tally, part) for name, tally in self._tallies.items() for part in tally.parts
        ]
        rows.sort(key=lambda row: row[2].trigger_ns)
        for name, tally, part in rows[-_ROWS:]:
            table.add_row(*_row(name, tally, part))
        lines = [self._belt] if self._belt else []
        return Group(table, *lines, Text(self._progress()), Text(self._note, style="dim"))


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


def belt_picture(status: Mapping[str, Any]) -> Text:
    """Return the belt as a line: trigger eye, parts, gate eye, flap; and the lamps behind it."""
    flap = status["flap"]
    scale = _BELT_COLUMNS / flap["flap_at"]
    cells = [("-", "dim")] * (_BELT_COLUMNS + _BEHIND_FLAP)
    cells[round(flap["eye_at"] * scale)] = ("|", "")
    cells[_BELT_COLUMNS] = ("/", "green") if flap["is_open"] else ("#", "red")
    for part in status["parts_on_belt"]:
        place = min(max(round(part["position"] * scale), 0), len(cells) - 1)
        if place != _BELT_COLUMNS:
            cells[place] = _PART_CELLS[part["state"]]
    picture = Text("belt ")
    for letter, style in cells:
        picture.append(letter, style=style)
    picture.append(f"  PLC: {', '.join(status['standstill']) or status['mode']}", style="dim")
    for is_on, on, off in (
        (status["comm_ok"], "CommOk", "HbFault"),
        (status["ready"], "Ready", "not Ready"),
    ):
        picture.append(f"  {on if is_on else off}", style=_lamp(is_on))
    return picture


def _table(title: str) -> Table:
    """Return an empty table that is whole on a terminal of 80 columns."""
    return Table(
        title=title,
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
        show_edge=False,
    )


def _lamp(is_on: bool) -> str:
    return "green" if is_on else "red"


def print_turns(console: Console, turns: Sequence[Turn]) -> None:
    """Print a line for each fault that had its turn."""
    for turn in turns:
        back = "not back" if turn.back_s is None else f"back {turn.back_s:.1f} s later"
        console.print(f"{turn.name}: {turn.lost} parts lost, {back}")


def print_plc_faults(console: Console, found: Sequence[FaultReport]) -> None:
    """Print what each PLC fault did to the line."""
    table = _table("PLC faults")
    for column in _FAULT_COLUMNS:
        is_name = column == _FAULT_COLUMNS[0]
        table.add_column(column, justify="left" if is_name else "right", no_wrap=is_name)
    for report in found:
        table.add_row(
            report.name,
            f"{report.at_s:.1f}",
            f"{report.lasted_s:.1f}",
            _after(report.writer_noticed_s),
            _after(report.plc_noticed_s),
            str(report.rejected),
            Text(str(report.unsafe), style=_lamp(not report.unsafe)),
            Text(str(report.unexplained), style=_lamp(not report.unexplained)),
            Text(_return_of(report), style=_lamp(report.is_back)),
        )
    console.print(table)
    console.print(_FAULT_LEGEND, style="dim")


def print_plc_fault_kinds(console: Console) -> None:
    """Print the faults that `--plc-fault` knows."""
    table = Table(title="--plc-fault NAME@SECONDS[+SECONDS]", title_justify="left", box=None)
    table.add_column("name", no_wrap=True)
    table.add_column("for", justify="right")
    table.add_column("what happens", ratio=1)
    table.add_column("what lamps and tags show", ratio=1)
    for name, kind in PLC_FAULTS.items():
        lasts = f"{kind.lasts_s:g} s" if kind.lasts_s else "once"
        table.add_row(name, lasts, kind.happens, kind.shows)
    console.print(table)


def print_model_fault(console: Console, figures: Mapping[str, Any]) -> None:
    """Print what became of a faulty model."""
    table = Table(title=f"model fault {figures['name']}", title_justify="left", box=None)
    table.add_column(style="dim")
    table.add_column()
    rollback = figures["rollback"]
    rows = {"the faulty model": figures["version"]}
    if rollback is None:
        rows["sent back"] = "no"
    else:
        rows["sent back for"] = f"{rollback['reason']}: {rollback['message']}"
        rows["figures"] = ", ".join(f"{k} {v:g}" for k, v in rollback["figures"].items())
    rows |= {
        "parts that it was to judge": f"{figures['judged']}, {figures['passed']} let through",
        "parts without any model": str(figures["unjudged"]),
        "of these after the decision": str(figures["parts_after_decision"]),
        "judging now": str(figures["live"]),
    }
    for label, text in rows.items():
        table.add_row(label, text)
    console.print(table)


def print_model_fault_kinds(console: Console) -> None:
    """Print the faults that `--model-fault` knows."""
    table = Table(title="--model-fault NAME [--shadow]", title_justify="left", box=None)
    table.add_column("name", no_wrap=True)
    table.add_column("what the model does on parts", ratio=1)
    table.add_column("what a part meets", ratio=1)
    table.add_column("sent back for", no_wrap=True)
    for name, kind in MODEL_FAULTS.items():
        table.add_row(name, kind.does, kind.costs, kind.on_trial)
    console.print(table)


def _after(seconds: float | None) -> str:
    return "-" if seconds is None else f"{seconds:.2f}"


def _return_of(report: FaultReport) -> str:
    if report.ready_again_s is None:
        return "not back"
    return f"{report.ready_again_s:.2f}" if report.judged_after else "judges nothing"


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items() if count)
