"""The real processes started on what a power cut left, up to their first verdict.

Judge and runner are processes, the camera sends frames over TCP, and the line comes to life; the
states are chosen so that every row of the state tables is among them.
"""

import multiprocessing
import random
import shutil
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from tests.integration.judge_station import JudgeStation, flat, judge_station

from crash_campaign.campaign import Campaign, Case, Progress
from crash_campaign.checks import Violation
from crash_campaign.judge_here import HereJudge, places_in
from crash_campaign.recording import write_tree
from crash_campaign.report import rows_of, rows_to_cover
from taktgate.contracts.verdict import Verdict, VerdictEnvelope

AT_ONCE: Final = 2
LIMIT_S: Final = 10.0
"""A start to its first verdict takes two seconds on an idle machine."""
_SOUND_GREY: Final = 20
_VOLUMES: Final = ("slots", "state")


def stratified(campaign: Campaign, count: int, seed: int) -> list[Case]:
    """Return *count* states; as long as there is room, each adds a row that was not yet cut."""
    dice = random.Random(seed)  # noqa: S311 - nothing secret
    rest = list(campaign.cases)
    dice.shuffle(rest)
    wanted = set(rows_to_cover())
    chosen: list[Case] = []
    left: list[Case] = []
    for case in rest:
        new = rows_of(campaign, case) & wanted
        if new and len(chosen) < count:
            chosen.append(case)
            wanted -= new
        else:
            left.append(case)
    return chosen + left[: count - len(chosen)]


def start_all(
    campaign: Campaign, cases: Sequence[Case], progress: Progress, *, limit_s: float = LIMIT_S
) -> list[tuple[Case, Violation]]:
    """Start the station on each of *cases*; return what does not hold."""
    found: list[tuple[Case, Violation]] = []
    done, lock = 0, threading.Lock()

    def start(case: Case) -> None:
        nonlocal done
        violation = full_start(campaign, case, limit_s=limit_s)
        with lock:
            done += 1
            progress(done, len(cases))
            if violation is not None:
                found.append((case, violation))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(start, cases))
    return found


def full_start(campaign: Campaign, case: Case, *, limit_s: float) -> Violation | None:
    """Start the processes on *case* and let a sound part come; return what does not hold."""
    name = f"start-{multiprocessing.current_process().pid}-{threading.get_ident()}"
    folder = campaign.folder / name
    left = campaign.folder / f"{name}-left"
    write_tree(case.cut.state.tree, left)
    try:
        expected = _expected(campaign, left)
        with judge_station(folder) as station:
            for volume in _VOLUMES:
                (folder / volume).rmdir()
                (left / volume).mkdir(exist_ok=True)
                shutil.move(left / volume, folder / volume)
            return _verdict(station, expected, limit_s=limit_s)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
        return Violation(invariant="start", message=f"{type(error).__name__}: {error}"[-400:])
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(left, ignore_errors=True)


def _expected(campaign: Campaign, left: Path) -> str | None:
    """Return the digest that is to judge, None when nothing that is trusted can."""
    judge = HereJudge(
        places_in(left, campaign.world.config), campaign.world.settings, bad=frozenset()
    )
    judge.boot()
    held = judge.loaded.get(judge.live or "")
    return None if held is None or held.ready is None else held.digest


def _verdict(station: JudgeStation, expected: str | None, *, limit_s: float) -> Violation | None:
    end_s = time.monotonic() + limit_s
    station.start()
    if expected is not None:
        station.wait(lambda: station.is_ready, limit_s=limit_s)
    else:
        station.wait(lambda: bool(station.heard.beats), limit_s=limit_s)
    while True:
        envelope = station.judged(flat(_SOUND_GREY))
        if _is_as_expected(envelope, expected):
            return None
        is_wrong = envelope.verdict is Verdict.PASS
        if is_wrong or time.monotonic() > end_s:
            judged = None if envelope.model is None else envelope.model.digest
            what = f"{envelope.verdict} ({envelope.reason}) by {judged}, expected {expected}"
            return Violation(invariant="start", message=what)


def _is_as_expected(envelope: VerdictEnvelope, expected: str | None) -> bool:
    """Tell whether *envelope* passes a sound part by the model *expected*; without one, rejects."""
    if expected is None:
        return envelope.verdict is not Verdict.PASS
    judged = None if envelope.model is None else envelope.model.digest
    return envelope.verdict is Verdict.PASS and judged == expected
