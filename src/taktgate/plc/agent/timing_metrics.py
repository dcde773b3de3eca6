"""The writer's durations as Prometheus histograms.

OpenTelemetry has no observable histogram, and its histogram would have to be fed each duration anew
with a value somewhere in its bucket: so these go to the registry as they were counted, sum and all.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Final

from prometheus_client.core import HistogramMetricFamily
from prometheus_client.registry import Collector

from taktgate.plc.writer.status import WriterStatus
from taktgate.plc.writer.timing import BOUNDS_US, Spread, Timings

_BOUNDS: Final = (*(f"{bound / 1000:g}" for bound in BOUNDS_US), "+Inf")

Read = Callable[[Timings], Mapping[str, Spread]]


class TimingCollector(Collector):
    """Whatever the newest status says of durations; nothing while the writer is silent."""

    def __init__(self, status: Callable[[], WriterStatus | None]) -> None:
        self._status = status

    def collect(self) -> Iterator[HistogramMetricFamily]:
        """Return the histograms, each with the buckets in which the writer counted."""
        status = self._status()
        if status is None:
            return
        for name, (read, meaning) in _HISTOGRAMS.items():
            family = HistogramMetricFamily(
                f"taktgate_plc_{name}_milliseconds", meaning, labels=["of"]
            )
            for of, spread in read(status.timings).items():
                family.add_metric([of], list(_cumulated(spread)), spread.sum_us / 1000)
            yield family

    def describe(self) -> Iterable[HistogramMetricFamily]:
        """Return nothing: names are known without asking a writer that has not spoken yet."""
        return ()


def _cumulated(spread: Spread) -> Iterator[tuple[str, float]]:
    return zip(_BOUNDS, map(float, accumulate(spread.counts)), strict=True)


_HISTOGRAMS: Final[Mapping[str, tuple[Read, str]]] = {
    "tick_lateness": (
        lambda timings: {"": timings.lateness},
        "From the planned begin of a tick to its begin",
    ),
    "tick_cycle": (
        lambda timings: {"": timings.cycle},
        "From the planned begin of a tick to its last checked reply",
    ),
    "exchange": (
        lambda timings: {"open": timings.open, "read": timings.read, "write": timings.write},
        "From the start of an exchange with the PLC (open: of several) to its checked reply",
    ),
    "verdict_to_ack": (
        lambda timings: {"": timings.verdict},
        "From taking in a verdict to the PLC's reply to its write",
    ),
}
