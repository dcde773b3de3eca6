"""How fast a bundle of 200 MB gets to the disk, against the disk's own sequential rate.

Four durations take turns, each round beginning with another one: how fast a disk gives back what
was just written depends on where it lies and on what was written before. *disk*: the same number of
bytes written in one go and synced. *disk and back*: likewise, and read from the disk again.
*download*: the real spool takes the archive from a registry in this process's memory, hashes it,
writes it and syncs each chunk. *install*: the archive, in the page cache as a fresh download is,
is unpacked into a slot folder, each file synced, and what the disk gives back is verified:
signature, digests, compatibility.

A download goes to the disk once, so it is held against *disk*; an install goes there and comes
back, so it is held against *disk and back*, and its share of *disk* is told.
"""

import os
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from statistics import median
from typing import Final

from benches.inspect_bench.ballast import NAME, VERSION
from benches.plc_bench.figures import Interval, Line, interval

from taktgate.bundle.manifest import Manifest, digest_of
from taktgate.bundle.targets import BundleFacts
from taktgate.contracts.twins import ModelOrder
from taktgate.edge.files import write_whole
from taktgate.staging.fetch.pace import Pace
from taktgate.staging.fetch.spool import Spool
from taktgate.staging.registry.offers import Offer
from taktgate.staging.slots.disk import Disk
from taktgate.staging.slots.gate import StationGate
from taktgate.staging.slots.slots import Slots

LEAST_SHARE: Final = 0.6
DISK, BACK, DOWNLOAD, INSTALL = "disk", "disk and back", "download", "install"
CASES: Final = (DISK, BACK, DOWNLOAD, INSTALL)
MEASURE_OF: Final = {DOWNLOAD: DISK, INSTALL: BACK}
_PIECE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """For each case the seconds of each round."""

    size_bytes: int
    seconds: dict[str, list[float]] = field(default_factory=lambda: {c: [] for c in CASES})

    def rate_mb_s(self, case: str, rounds: Sequence[int]) -> float:
        """Return the median rate of *case* over *rounds*."""
        return self.size_bytes / 1e6 / median(self.seconds[case][number] for number in rounds)

    def share(self, case: str, of: str) -> Interval:
        """Return the rate of *case* as a share of that of the case *of*."""
        rounds = range(len(self.seconds[of]))
        return interval(
            rounds, lambda chosen: self.rate_mb_s(case, chosen) / self.rate_mb_s(of, chosen)
        )


def measure(
    folder: Path, bundle: Path, config: Path, *, rounds: int, say: Callable[[str], None]
) -> Rates:
    """Measure *rounds* rounds below *folder*; the station's keys and matrix are in *config*."""
    content = bundle.read_bytes()
    registry = _MemoryRegistry(content)
    found = Rates(size_bytes=len(content))
    disk = Disk()
    folder.mkdir()
    slots = Slots(folder, disk=disk, gate=StationGate(config=config, device_class="cpu"))
    order = ModelOrder(name=NAME, version=VERSION, order="o1")

    def download() -> None:
        spool = Spool(folder / "download", disk=disk, pace=Pace())
        for _ in spool.fill(registry.only, registry):
            pass

    steps: dict[str, Callable[[], object]] = {
        DISK: lambda: _write(folder / "plain", content),
        BACK: lambda: _write_and_read(folder / "returned", content),
        DOWNLOAD: download,
        INSTALL: lambda: slots.unpack(bundle, order),
    }
    for number in range(rounds + 1):
        for case in _turn(number):
            os.sync()
            began_s = time.monotonic()
            steps[case]()
            if number > 0:  # the first round warms up
                found.seconds[case].append(time.monotonic() - began_s)
        _clear(folder)
        say(f"rate: round {number} of {rounds}")
    return found


def lines(found: Rates) -> list[Line]:
    """Hold both to the disk."""
    return [
        Line(
            promise=f"{case}: at least {LEAST_SHARE:.0%} of the sequential rate of {measure!r}",
            measured=f"{share.figure:.0%} [{share.low:.0%}, {share.high:.0%}]",
            kept=share.figure >= LEAST_SHARE,
        )
        for case, measure in MEASURE_OF.items()
        for share in (found.share(case, measure),)
    ]


def _turn(number: int) -> tuple[str, ...]:
    first = number % len(CASES)
    return CASES[first:] + CASES[:first]


class _MemoryRegistry:
    """One bundle, at the speed of memory: no network is measured here."""

    def __init__(self, content: bytes) -> None:
        self._pieces = [
            content[place : place + _PIECE_BYTES] for place in range(0, len(content), _PIECE_BYTES)
        ]
        self.only = Offer(
            path="bundles/ballast",
            size_bytes=len(content),
            sha256=sha256(content).hexdigest(),
            url="memory:",
            facts=_facts(content),
        )

    def fetch(self, offer: Offer, *, start: int) -> Iterator[bytes]:
        """Yield it in pieces."""
        yield from self._pieces[start // _PIECE_BYTES :]


def _facts(content: bytes) -> BundleFacts:
    """Return the facts of the archive *content*, whose manifest is its first member."""
    begin = content.index(b"{")
    end = content.index(b"\n}\n", begin) + 3
    data = content[begin:end]
    return BundleFacts.of(Manifest.parse(data), digest=digest_of(data), serial=1)


def _write(path: Path, content: bytes) -> None:
    view = memoryview(content)
    with path.open("xb", buffering=0) as file:
        for place in range(0, len(view), _PIECE_BYTES):
            write_whole(file.fileno(), view[place : place + _PIECE_BYTES])
        os.fsync(file.fileno())


def _write_and_read(path: Path, content: bytes) -> None:
    _write(path, content)
    with path.open("rb", buffering=0) as file:
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
        piece = bytearray(_PIECE_BYTES)
        while file.readinto(piece):
            pass


def _clear(folder: Path) -> None:
    for entry in list(folder.iterdir()):
        if entry.is_dir():
            shutil.rmtree(entry)
        else:
            entry.unlink()
