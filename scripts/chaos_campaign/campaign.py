"""One campaign: a station comes up, is broken again and again, and has to be whole at the end."""

import contextlib
import os
import random
import re
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from chaos_campaign.history import Recovery, fates, findings, recoveries, undecided_while_ready
from chaos_campaign.line import ChaosLine
from chaos_campaign.mischief import PROCESSES, SUPERVISOR, Mischief
from taktgate.inspection.frames.ring import SLOTS

PER_S: Final = (10.0, 30.0)
PAUSE_S: Final = (0.1, 4.0)
_CALM_S: Final = 45.0
"""After the last fault: as long as the pauses of restarts may grow, and a trial to its end."""
_QUIET_S: Final = 1.5
"""Its status comes each second."""
_SETTLES: Final = 10
_EXPECTED: Final = "is gone, now child of"
"""What a process says that was starting while its parent was killed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What one campaign came to."""

    seed: int
    parts: int
    fates: dict[str, int]
    undecided_while_ready: dict[str, int]
    blows: dict[str, int]
    recovery_ms: dict[str, dict[str, Any]]
    held_before: dict[str, int]
    held_after: dict[str, int]
    records: int
    findings: list[str]


def run(folder: Path, *, seed: int, seconds: float, calm_s: float = _CALM_S) -> Report:
    """Break a station in *folder* for so many seconds; the same seed breaks it alike."""
    dice = random.Random(seed)  # noqa: S311 - nothing secret
    line = ChaosLine(folder, random.Random(seed + 1), per_s=PER_S)  # noqa: S311
    try:
        return _run(line, dice, seed=seed, seconds=seconds, calm_s=calm_s)
    finally:
        line.close()


def _run(
    line: ChaosLine, dice: random.Random, *, seed: int, seconds: float, calm_s: float
) -> Report:
    found: list[str] = []
    line.begin()
    line.live_until(lambda: _is_whole(line), limit_s=calm_s)
    _settle(line)
    before = held(line)
    mischief = Mischief(line, dice, pause_s=PAUSE_S)

    def tends() -> bool:
        mischief.tend()
        return False

    line.live_until(tends, limit_s=seconds)
    mischief.let_go()
    healed = len(line.parts)
    if not line.live_until(lambda: _is_whole(line, judged_after=healed), limit_s=calm_s):
        found.append(f"not whole again {calm_s:g} s after the last fault: {held(line)}")
    _settle(line)
    after = held(line)
    found += leaks(before, after)
    parts = list(line.parts.values())
    found += findings(parts, mischief.blows, line.scores)
    found += [f"a verdict for part {trigger_id}, which never was" for trigger_id in line.unknown]
    found += _said_wrongly(line)
    return Report(
        seed=seed,
        parts=len(parts),
        fates=fates(parts),
        undecided_while_ready=undecided_while_ready(parts),
        blows=dict(Counter(blow.name for blow in mischief.blows)),
        recovery_ms=_spread(recoveries(parts, mischief.blows)),
        held_before=before,
        held_after=after,
        records=len(list((line.folder / "state/records").glob("parts-*.jsonl"))),
        findings=found,
    )


def held(line: ChaosLine) -> dict[str, int]:
    """Return what the module holds: processes by role, descriptors and memories of the judge."""
    counts = {name: len(line.pids(module)) for name, module in PROCESSES.items()}
    counts["supervisor"] = len(line.pids(SUPERVISOR))
    judges = line.pids(PROCESSES["judge"])
    agents = line.pids(PROCESSES["agent"])  # whose runner is that of /infer
    counts["runner"] = sum(_parent(pid) not in agents for pid in line.pids(PROCESSES["runner"]))
    descriptors = [_descriptors(pid) for pid in judges]
    counts["judge descriptors"] = sum(len(each) for each in descriptors)
    counts["judge memories"] = sum("memfd:" in name for each in descriptors for name in each)
    counts["agent descriptors"] = sum(
        len(_descriptors(pid)) for pid in line.pids(PROCESSES["agent"])
    )
    counts["free slots"] = int(line.metrics().get("free_slots", -1))
    for name in ("lane", "private"):
        counts[f"files in {name}"] = len(list((line.folder / name).iterdir()))
    counts["shared segments"] = len(os.listdir("/dev/shm"))  # noqa: S108 - looked at
    return counts


def leaks(before: dict[str, int], after: dict[str, int]) -> list[str]:
    """Return what there is more of than before, or is missing."""
    found = []
    for name in ("judge", "agent", "supervisor"):
        if after[name] != 1:
            found.append(f"{after[name]} processes of {name}")
    if after["free slots"] != SLOTS:
        found.append(f"{after['free slots']} of {SLOTS} slots are free on an idle line")
    for name in ("judge memories", "files in lane", "files in private"):
        if after[name] > before[name]:
            found.append(f"{name}: {before[name]} before, {after[name]} after")
    # One runner more than before may be there: the warm one of the model confirmed before.
    for name, allowance in (
        ("runner", 1),
        ("decoder", 1),
        ("judge descriptors", 4),
        ("agent descriptors", 8),
    ):
        if after[name] > before[name] + allowance:
            found.append(f"{name}: {before[name]} before, {after[name]} after")
    return found


def _settle(line: ChaosLine) -> None:
    """Let no part come until the judge has said what an idle line holds, or long enough."""
    for _ in range(_SETTLES):
        line.rest(_QUIET_S)
        if line.metrics().get("free_slots") == SLOTS:
            return


def _is_whole(line: ChaosLine, judged_after: int = 0) -> bool:
    """Tell whether a part was judged of late, and all processes are there."""
    newest = list(line.parts.values())[max(judged_after, len(line.parts) - 40) :]
    if len(newest) < 30 or not all(part.is_judged for part in newest[:25]):
        return False
    return len(line.pids(PROCESSES["runner"])) >= 2 and len(line.pids(PROCESSES["agent"])) == 1


def _said_wrongly(line: ChaosLine) -> list[str]:
    """Return what the module logged of its own bugs: tracebacks and what is critical."""
    log = line.log
    found = [each for each in log.splitlines() if "[CRT]" in each or "Traceback" in each[30:]]
    # One outside our own log lines ends with the line that names the error, which is not indented.
    found = [each for each in found if _EXPECTED not in each]
    found += re.findall(r"^Traceback.*\n(?:[ \t].*\n)+.*$", log, re.MULTILINE)
    return [f"the module logged: {each[-800:]}" for each in found]


def _spread(found: Iterable[Recovery]) -> dict[str, dict[str, Any]]:
    by_name: dict[str, list[float]] = defaultdict(list)
    never: Counter[str] = Counter()
    for each in found:
        if each.took_ms is None:
            never[each.blow] += 1
        else:
            by_name[each.blow].append(each.took_ms)
    return {
        name: {
            "n": len(took),
            "median": round(statistics.median(took)),
            "max": round(max(took)),
            "never": never[name],
        }
        for name, took in sorted(by_name.items())
    }


def _parent(pid: int) -> int:
    """Return the parent of a process, 0 when it has ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    return int(status.partition("PPid:")[2].split()[0])


def _descriptors(pid: int) -> list[str]:
    """Return what the descriptors of a process are."""
    folder, found = Path(f"/proc/{pid}/fd"), []
    with contextlib.suppress(OSError):
        for entry in folder.iterdir():
            with contextlib.suppress(OSError):
                found.append(str(entry.readlink()))
    return found
