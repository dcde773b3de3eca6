"""From start to ready, from last-known-good: no network, no edgeHub, and a clock that is wrong.

The station lives in a network namespace of its own, where there is nothing but loopback. The clock
is shifted for its processes alone, by libfaketime; CLOCK_MONOTONIC is left as it is, as a wrong
clock leaves it.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from benches.inspect_bench.model import BenchModel, weld_seam
from benches.inspect_bench.parts import SeenPart
from benches.inspect_bench.report import sound_frames
from benches.inspect_bench.station import Station
from benches.staging_bench.outcome import BenchError

from taktgate.edge.clock import monotonic_ns

MOST_READY_S: Final = 3.0
_PER_S: Final = 30.0
_TRIES: Final = 30
_YEAR_S: Final = 365 * 86_400
CLOCKS: Final[Mapping[str, int]] = {
    "right clock": 0,
    "clock 10 years ahead": 10 * _YEAR_S,
    "clock 10 years behind": -10 * _YEAR_S,
}
FAKETIME: Final = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1")
_ALONE: Final = ("unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One start of a station."""

    case: str
    ready_s: float
    """From the start of the judge's process until it says that it could judge a part."""
    verdict_s: float
    """Likewise, until the verdict on a part that came as soon as it was ready."""


class BootError(BenchError):
    """Starts cannot be measured here."""


def measure(starts: int) -> list[Start]:
    """Start a station *starts* times with each clock, in turn.

    Raises:
        BootError: libfaketime is missing, no namespace is granted, or a station did not come up.
    """
    if not FAKETIME.exists():
        raise BootError(f"{FAKETIME} is missing: apt-get install faketime")
    command = [*_ALONE, sys.executable, str(Path(__file__).resolve()), str(starts)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        *_, reason = ["no reason given", *done.stderr.strip().splitlines()]
        raise BootError(reason)
    return [Start(**each) for each in json.loads(done.stdout)]


class _ShiftedStation(Station):
    """A station whose processes see another time of day."""

    def __init__(self, folder: Path, *, live: BenchModel, shift_s: int) -> None:
        self._shift_s = shift_s
        super().__init__(folder, live=live)

    def environment(self) -> dict[str, str]:
        """Return what tells its processes where things are, and what time it is."""
        shift = {
            "LD_PRELOAD": str(FAKETIME),
            "FAKETIME": f"{self._shift_s:+d}s",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        return super().environment() | (shift if self._shift_s else {})


def _start(folder: Path, case: str, model: BenchModel) -> dict[str, Any]:
    station = _ShiftedStation(folder, live=model, shift_s=CLOCKS[case])
    began_ns = monotonic_ns()
    with station:
        ready_ns = monotonic_ns()
        part = _first_part(station)
        decided_ns = monotonic_ns()
    if part.envelope is None or not part.is_judged:
        raise BootError(f"{case}: the first part was not judged: {part.fate}")
    return {
        "case": case,
        "ready_s": (ready_ns - began_ns) / 1e9,
        "verdict_s": (decided_ns - began_ns) / 1e9,
    }


def _first_part(station: Station) -> SeenPart:
    """Let a part come; again if this bench was too slow to let it come when it was due."""
    for _ in range(_TRIES):
        for part in station.feed(sound_frames()[:1], count=1, per_s=_PER_S):
            return part
    raise BootError("the bench is too slow here to let a part come in time")


def _main() -> None:
    starts = int(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        model = weld_seam(folder / "models")
        found = [
            _start(folder / f"{number}-{place}", case, model)
            for number in range(starts)
            for place, case in enumerate(CLOCKS)
        ]
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    _main()
