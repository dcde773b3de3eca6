"""What the power cuts of a run did, as figures, objections and a table."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Final

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from taktgate.contracts.twins import StagingPhase
from taktgate.standin.demo.power_plan import AIMS

_COLUMNS: Final = (
    *("cut", "in phase", "MB there", "lost MB", "back on", "verified"),
    *("first\nverdict s", "parts\nrejected", "unsafe\nPASS"),
)
LEGEND: Final = (
    "every process of the device dies by SIGKILL at once; then files that no fsync protects lose "
    "an end of any length. first verdict: after the power is back. parts rejected: from the cut to "
    "that verdict, by the PLC's watchdog or since no model was ready. Renames that no fsync of the "
    "folder protects are not lost here: scripts/crash_points goes through those."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """One cut and what came after it."""

    order: str
    aim: StagingPhase
    phase: StagingPhase
    """What the disks said after the cut."""
    fetched_bytes: int
    lost_bytes: int
    good_before: str | None
    """Digest of last-known-good at the cut; this and the next two."""
    good_after: str | None
    judged_by: str | None
    """Of the model that judged the first part afterwards; None if the cloud was not told."""
    version: str | None
    """Of that model."""
    is_verified: bool
    """The slot of last-known-good holds it, signature and digests."""
    first_verdict_s: float
    rejected: int
    """Parts that came meanwhile and were rejected without a verdict of a model."""
    unsafe: int


def figures_of(cuts: Sequence[Cut]) -> dict[str, Any]:
    """Return the figures of `--json`."""
    hit = {cut.phase for cut in cuts}
    worst = max((cut.first_verdict_s for cut in cuts), default=None)
    return {
        "cuts": [asdict(cut) for cut in cuts],
        "phases_hit": sorted(hit),
        "phases_missed": [aim for aim in AIMS if aim not in hit],
        "slowest_first_verdict_s": worst,
        "rejected": sum(cut.rejected for cut in cuts),
    }


def objections(cuts: Sequence[Cut], *, asked: int, allowed: frozenset[str]) -> Iterator[str]:
    """Yield why these are not cuts that the line survived.

    Args:
        cuts: those that were made.
        asked: how many there were to be.
        allowed: digests of all models that were ever ordered.
    """
    if len(cuts) != asked:
        yield f"{len(cuts)} of {asked} cuts were made"
    for number, cut in enumerate(cuts, start=1):
        if cut.judged_by not in allowed:
            yield f"cut {number}: the first part was judged by {cut.judged_by}, no ordered model"
        if cut.good_after not in allowed or not cut.is_verified:
            yield f"cut {number}: last-known-good {cut.good_after} is not whole and signed"
        if cut.good_before is not None and cut.judged_by not in (cut.good_before, cut.good_after):
            yield f"cut {number}: came back on a model that was neither old nor new"
        if cut.unsafe:
            yield f"cut {number}: {cut.unsafe} unsafe PASS"


def missed(cuts: Sequence[Cut]) -> Iterator[str]:
    """Yield which phases were aimed at and not hit: chance, and no fault of the station's."""
    gone = sorted({cut.aim for cut in cuts} - {cut.phase for cut in cuts}, key=AIMS.index)
    if gone:
        yield f"no cut hit {', '.join(gone)}: other seeds do"


def print_cuts(console: Console, cuts: Sequence[Cut]) -> None:
    """Print a row for each cut."""
    table = Table(
        title="power cuts",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=False,
    )
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column in ("in phase", "back on") else "right")
    for number, cut in enumerate(cuts, start=1):
        table.add_row(
            str(number),
            cut.phase,
            f"{cut.fetched_bytes / 1e6:.1f}",
            f"{cut.lost_bytes / 1e6:.1f}",
            cut.version or "?",
            Text("yes", style="green") if cut.is_verified else Text("NO", style="red"),
            f"{cut.first_verdict_s:.1f}",
            str(cut.rejected),
            Text(str(cut.unsafe), style="red" if cut.unsafe else "green"),
        )
    console.print(table)
    console.print(LEGEND, style="dim")
