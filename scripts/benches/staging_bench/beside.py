"""The judge's p99 while a bundle of 200 MB is staged again and again beside it.

Quiet blocks and blocks with staging take turns within one run. There are two kinds of quiet
blocks, which differ in nothing: how far *their* p99 are apart is the noise of this machine, and
what staging adds is held against that.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from benches.hub_bench.verdict import percentile
from benches.inspect_bench.errands import Errands, bundle_for_errands
from benches.inspect_bench.parts import SeenPart, steps_of
from benches.inspect_bench.report import Bench, sound_frames
from benches.inspect_bench.station import Terms
from benches.plc_bench.figures import Interval, Line, interval

PER_S: Final = 30.0
QUIET, QUIET_AGAIN, STAGING = "quiet", "quiet again", "staging"
CASES: Final = (QUIET, STAGING, QUIET_AGAIN)
_WARM_UP: Final = 60
_SETTLE_S: Final = 0.3


@dataclass(frozen=True, slots=True, kw_only=True)
class Beside:
    """All rounds: for each case and round, the times from frame complete to verdict, in us."""

    times_us: dict[str, list[list[float]]] = field(default_factory=lambda: {c: [] for c in CASES})
    unjudged: dict[str, int] = field(default_factory=lambda: dict.fromkeys(CASES, 0))
    stagings: int
    fetched_mb: float

    def p99_us(self, case: str, rounds: Sequence[int]) -> float:
        """Return the 99th percentile of *case* over *rounds*."""
        return percentile([us for number in rounds for us in self.times_us[case][number]], 99)

    def difference(self, case: str, base: str) -> Interval:
        """Return by how much the p99 of *case* is above that of *base*, in us."""
        rounds = range(len(self.times_us[base]))
        return interval(
            rounds, lambda chosen: self.p99_us(case, chosen) - self.p99_us(base, chosen)
        )


def measure(bench: Bench, *, rounds: int, parts: int) -> Beside:
    """Measure *rounds* rounds of one block of *parts* parts for each case."""
    times: dict[str, list[list[float]]] = {case: [] for case in CASES}
    unjudged = dict.fromkeys(CASES, 0)
    bundle = bundle_for_errands(bench.folder)
    terms = Terms(priorities=bench.best_mode()[1])
    with (
        bench.station(bench.weld_seam(), terms) as station,
        Errands(station, bundle) as errands,
    ):
        station.feed(sound_frames(), count=_WARM_UP, per_s=PER_S)
        errands.begin()
        for number in range(rounds):
            for case in CASES if number % 2 == 0 else CASES[::-1]:
                errands.go_on() if case == STAGING else errands.hold()
                station.pass_time(_SETTLE_S)
                fed = station.feed(sound_frames(), count=parts, per_s=PER_S)
                times[case].append([us for part in fed if (us := _time_us(part)) is not None])
                unjudged[case] += sum(not part.is_judged for part in fed)
            bench.say(f"beside the judge: round {number + 1} of {rounds}")
        errands.go_on()
        done = errands.done()
    return Beside(
        times_us=times, unjudged=unjudged, stagings=done.stagings, fetched_mb=done.fetched_mb
    )


def lines(found: Beside) -> list[Line]:
    """Hold what staging adds to the noise, and the parts to being judged."""
    noise = found.difference(QUIET_AGAIN, QUIET)
    added = found.difference(STAGING, QUIET)
    band_us = max(abs(noise.low), abs(noise.high))
    told = f"{added.figure / 1000:+.3f} ms [{added.low / 1000:+.3f}, {added.high / 1000:+.3f}]"
    return [
        Line(
            promise=f"p99 while staging within the noise band of +-{band_us / 1000:.3f} ms",
            measured=f"{told}, {found.stagings} bundles staged, {found.fetched_mb:.0f} MB fetched",
            kept=added.figure <= band_us and found.fetched_mb > 0,
        ),
        Line(
            promise="every part judged while staging",
            measured=f"{found.unjudged[STAGING]} not",
            kept=found.unjudged[STAGING] == 0,
        ),
    ]


def _time_us(part: SeenPart) -> float | None:
    steps = steps_of(part)
    return None if steps is None else steps.beyond_run + steps.run
