"""What became of each PLC fault: when it was noticed, what it cost, when the line was back.

Pure. It comes from the PLC's own events, the tags that the writer wrote, and what the writer's
metrics say; all times are CLOCK_MONOTONIC.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Final

from taktgate.contracts.verdict import Verdict
from taktgate.plc.contract.tags import WriterState
from taktgate.standin.demo.tally import Part

_SECOND: Final = 1_000_000_000
_IN_FLIGHT_NS: Final = _SECOND // 2
"""A part that was triggered so long before a fault may still be lost to it."""
_JUDGED: Final = (Verdict.PASS, Verdict.FAIL)


@dataclass(slots=True, kw_only=True)
class Struck:
    """A fault that has struck; `mended_ns` is None while it lasts."""

    name: str
    at_ns: int
    mended_ns: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """One thing that somebody saw, and whether all was well in it."""

    at_ns: int
    is_well: bool


@dataclass(slots=True, kw_only=True)
class PlcJournal:
    """What the PLC and the writer said of themselves, in order."""

    gate: list[Sight] = field(default_factory=list)
    """The PLC's program: CommOk and Ready, as it saw them."""
    plc: list[Sight] = field(default_factory=list)
    """The PLC alone: the program scans, CommOk."""
    writer: list[Sight] = field(default_factory=list)
    """The vision side: its tags, and its metrics where it cannot write tags."""
    _counted: tuple[Any, ...] | None = None
    _session: tuple[Any, ...] | None = None

    def take(self, event: Mapping[str, Any]) -> None:
        """Take note of an event of the PLC."""
        kind = event["event"]
        if kind == "state":
            self.plc.append(Sight(at_ns=event["at_ns"], is_well=event["comm_ok"]))
            is_well = event["comm_ok"] and event["ready"]
            self.gate.append(Sight(at_ns=event["at_ns"], is_well=is_well))
        elif kind == "program":
            self.plc.append(Sight(at_ns=event["at_ns"], is_well=not event["standstill"]))
        elif kind == "vision":
            self._take_tags(event)

    def take_metrics(self, at_ns: int, *, is_ready: bool, sessions: float) -> None:
        """Take note of what the writer's metrics say: Ready, and sessions opened until now."""
        is_new = self._session is not None and self._session != (sessions,)
        self._session = (sessions,)
        self.writer.append(Sight(at_ns=at_ns, is_well=is_ready and not is_new))

    def _take_tags(self, event: Mapping[str, Any]) -> None:
        counted = (event.get("CntReconnect"), event.get("BootId"))
        is_new = self._counted is not None and self._counted != counted
        self._counted = counted
        is_well = event.get("State") == WriterState.RUN and bool(event.get("Ready"))
        self.writer.append(Sight(at_ns=event["at_ns"], is_well=is_well and not is_new))


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultReport:
    """One fault, for the summary and `--json`. Times in seconds; None: never."""

    name: str
    at_s: float
    """Seconds after the first part."""
    lasted_s: float
    writer_noticed_s: float | None
    """From the strike to the first word of the writer, in a tag or a metric, that all is not well.
    """
    plc_noticed_s: float | None
    """From the strike until the PLC's own program stood or missed the heartbeat."""
    rejected: int
    """Parts rejected that no FAIL rejects, from the strike until the line was back."""
    unsafe: int
    unexplained: int
    ready_again_s: float | None
    """From the end of the fault until CommOk and Ready; 0 when they were never lost."""
    judged_after: int
    """Parts decided PASS or FAIL after that, before the next fault."""

    @property
    def is_back(self) -> bool:
        """Tell whether the line worked again before the next fault or the end."""
        return self.ready_again_s is not None and self.judged_after > 0

    def as_dict(self) -> dict[str, Any]:
        """Return the report for JSON."""
        return asdict(self) | {"is_back": self.is_back}


def reports(
    faults: Sequence[Struck], journal: PlcJournal, parts: Sequence[Part]
) -> list[FaultReport]:
    """Return a report for each fault that struck; *faults* in order."""
    if not faults or not parts:
        return []
    ends = [*(fault.at_ns for fault in faults[1:]), parts[-1].trigger_ns + _SECOND]
    return [
        _report(fault, until_ns, journal, parts)
        for fault, until_ns in zip(faults, ends, strict=True)
    ]


def objections(found: Iterable[FaultReport]) -> list[str]:
    """Return why the run does not count as clean."""
    return [
        f"the line did not come back after plc fault {each.name}"
        for each in found
        if not each.is_back
    ]


def _report(
    fault: Struck, until_ns: int, journal: PlcJournal, parts: Sequence[Part]
) -> FaultReport:
    mended_ns = until_ns if fault.mended_ns is None else fault.mended_ns
    ready_ns = _ready_again(journal.gate, mended_ns, until_ns)
    back_ns = until_ns if ready_ns is None else ready_ns
    hit = _between(parts, fault.at_ns - _IN_FLIGHT_NS, back_ns)
    return FaultReport(
        name=fault.name,
        at_s=round((fault.at_ns - parts[0].trigger_ns) / _SECOND, 2),
        lasted_s=round((mended_ns - fault.at_ns) / _SECOND, 2),
        writer_noticed_s=_noticed(journal.writer, fault.at_ns, until_ns),
        plc_noticed_s=_noticed(journal.plc, fault.at_ns, until_ns),
        rejected=sum(part.gate == "reject" and part.verdict is not Verdict.FAIL for part in hit),
        unsafe=sum(part.unsafe for part in hit),
        unexplained=sum(part.unexplained for part in hit),
        ready_again_s=None if ready_ns is None else _seconds(mended_ns, ready_ns),
        judged_after=sum(
            part.verdict in _JUDGED for part in _between(parts, back_ns, until_ns - 1)
        ),
    )


def _noticed(sights: Sequence[Sight], at_ns: int, until_ns: int) -> float | None:
    for sight in sights:
        if at_ns <= sight.at_ns < until_ns and not sight.is_well:
            return _seconds(at_ns, sight.at_ns)
    return None


def _ready_again(sights: Sequence[Sight], mended_ns: int, until_ns: int) -> int | None:
    """Return when the line was ready for good after *mended_ns*, before *until_ns*."""
    seen = [sight for sight in sights if sight.at_ns < until_ns]
    if not seen or not seen[-1].is_well:
        return None
    began_ns = seen[-1].at_ns
    return mended_ns if began_ns < mended_ns else began_ns


def _between(parts: Sequence[Part], start_ns: int, end_ns: int) -> list[Part]:
    return [part for part in parts if start_ns <= part.trigger_ns <= end_ns]


def _seconds(start_ns: int, end_ns: int) -> float:
    return round((end_ns - start_ns) / _SECOND, 3)
