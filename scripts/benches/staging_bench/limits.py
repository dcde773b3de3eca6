"""What a station takes from a server that never ends or hardly begins, before it refuses.

The real client and fetcher, the spool on the disk, and a registry on this machine that attacks
them over TCP. The slow cases wait side by side: each is over when its own limit says so.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benches.plc_bench.figures import Line

from taktgate.contracts.twins import ModelOrder
from taktgate.staging.errors import StagingError
from taktgate.staging.fetch.pace import Pace
from taktgate.staging.fetch.patience import FetchLimits
from taktgate.staging.fetch.spool import Spool
from taktgate.staging.fetch.web import UrlFetcher
from taktgate.staging.registry.client import TRUSTED_ROOT_FILE, TufRegistry
from taktgate.staging.registry.limits import RegistryLimits
from taktgate.staging.slots.disk import Disk
from taktgate.staging.states import Request
from taktgate.standin.hostile_registry.repository import HostileRegistry
from taktgate.standin.hostile_registry.server import HostileServer, serving

ENDLESS_BYTES: Final = 10_000_000_000
SIGNED_BYTES: Final = 200_000_000
GRACE_S: Final = 2.0
"""A limit is looked at when bytes come or a wait ends, so a refusal comes a little later."""
_CLASS: Final = "cpu"
_VERSION: Final = "1.0.0"
_PIECE: Final = b" " * (1 << 16)
_DRIP_S: Final = 0.1
_DRIPS: Final = 1200
"""Two minutes of them: longer than any limit."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a station keeps to; the defaults are the real ones."""

    registry: RegistryLimits = RegistryLimits()  # noqa: RUF009 - frozen
    fetch: FetchLimits = FetchLimits()  # noqa: RUF009 - frozen

    @property
    def are_real(self) -> bool:
        """Tell whether they are those of a station."""
        return self == Limits()


SHORT: Final = Limits(
    registry=RegistryLimits(request_s=2.0),
    fetch=FetchLimits(stall_s=1.5, head_s=2.0, over_s=2.5),
)
"""A stall is long beside a drip: on a busy machine what drips must not seem to have stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """How one attack ended.

    Attributes:
        reason: That is reported; empty: it was not refused.
        taken_bytes: What came through the fetcher.
        sent_bytes: What the server handed to its socket: the rest lay in buffers.
    """

    case: str
    reason: str
    message: str
    taken_bytes: int
    sent_bytes: int
    seconds: float
    limit_bytes: int | None = None
    limit_s: float | None = None

    @property
    def kept(self) -> bool:
        """Tell whether it was refused, and within its limit."""
        if self.limit_bytes is not None and self.taken_bytes > self.limit_bytes:
            return False
        in_time = self.limit_s is None or self.seconds <= self.limit_s + GRACE_S
        return bool(self.reason) and in_time


@dataclass(frozen=True, slots=True, kw_only=True)
class _Attack:
    """One file that is not what it should be, and the limit that ends it."""

    case: str
    path: str
    stream: Callable[[], Iterator[bytes]]
    limit_bytes: int | None = None
    limit_s: float | None = None


def measure(folder: Path, limits: Limits, *, say: Callable[[str], None]) -> list[Refusal]:
    """Attack a station below *folder*, which keeps to *limits*."""
    folder.mkdir()
    path = f"targets/{next(iter(_registry().archives))}"
    endless, slow = _endless(limits, path), _slow(limits, path)
    say(f"limits: {len(endless)} endless streams, then {len(slow)} slow servers at once")
    found = [_attacked(folder, attack, limits) for attack in endless]
    with ThreadPoolExecutor(len(slow)) as pool:
        found += pool.map(lambda attack: _attacked(folder, attack, limits), slow)
    return found


def lines(refusals: Sequence[Refusal], limits: Limits) -> list[Line]:
    """Hold each refusal to its limit."""
    shortened = "" if limits.are_real else " (shortened)"
    return [
        Line(
            promise=f"{each.case}: refused within {_limit(each, shortened)}",
            measured=f"{each.reason or 'not refused'}, {each.taken_bytes} bytes taken and"
            f" {each.sent_bytes} sent, in {each.seconds:.1f} s",
            kept=each.kept,
        )
        for each in refusals
    ]


def _limit(refusal: Refusal, shortened: str) -> str:
    if refusal.limit_bytes is not None:
        return f"{refusal.limit_bytes} bytes"
    return f"{refusal.limit_s:g} s{shortened}"


def _endless(limits: Limits, archive: str) -> list[_Attack]:
    roles = {"timestamp": "timestamp.json", "targets": "1.targets.json"}
    return [
        _Attack(
            case=f"10 GB for {role} metadata",
            path=f"metadata/{name}",
            stream=_never_ending,
            limit_bytes=limits.registry.bytes_of(role),
        )
        for role, name in roles.items()
    ] + [
        _Attack(
            case="10 GB for a bundle of 200 MB",
            path=archive,
            stream=_never_ending,
            limit_bytes=SIGNED_BYTES,
        )
    ]


def _slow(limits: Limits, archive: str) -> list[_Attack]:
    timestamp = "metadata/timestamp.json"
    fetch, request_s = limits.fetch, limits.registry.request_s
    return [
        _Attack(case="metadata drips", path=timestamp, stream=_dripping, limit_s=request_s),
        _Attack(
            case="metadata never begins", path=timestamp, stream=_silent, limit_s=fetch.stall_s
        ),
        _Attack(case="a bundle drips", path=archive, stream=_dripping, limit_s=fetch.over_s),
        _Attack(case="a bundle never begins", path=archive, stream=_silent, limit_s=fetch.stall_s),
    ]


def _attacked(folder: Path, attack: _Attack, limits: Limits) -> Refusal:
    registry = _registry()
    registry.answers[attack.path] = attack.stream
    home = folder / attack.case.replace(" ", "-")
    home.mkdir()
    with serving(registry) as server:
        fetcher = _Counting(UrlFetcher(limits=limits.fetch), f"{server.url}/{attack.path}")
        began_s = time.monotonic()
        reason, message = _refused(home, server, fetcher, limits)
        return Refusal(
            case=attack.case,
            reason=reason,
            message=message,
            taken_bytes=fetcher.taken_bytes,
            sent_bytes=server.sent_bytes.get(attack.path, 0),
            seconds=time.monotonic() - began_s,
            limit_bytes=attack.limit_bytes,
            limit_s=attack.limit_s,
        )


def _refused(
    home: Path, server: HostileServer, fetcher: "_Counting", limits: Limits
) -> tuple[str, str]:
    """Ask for the bundle as a station does; return reason and message of the refusal."""
    root = home / TRUSTED_ROOT_FILE
    root.write_bytes(server.registry.roots[1])
    disk = Disk()
    client = TufRegistry(
        home / "trust",
        trusted_root=root,
        fetcher=fetcher,
        disk=disk,
        device_class=_CLASS,
        limits=limits.registry,
    )
    model = ModelOrder(name="weld-seam", version=_VERSION, order="o1")
    try:
        offer = client.offer(Request(model=model, repository=server.url))
        for _ in Spool(home / "download", disk=disk, pace=Pace()).fill(offer, client):
            pass
    except StagingError as refusal:
        return refusal.reason, str(refusal)
    return "", ""


class _Counting:
    """A fetcher that counts what comes from one URL."""

    def __init__(self, fetcher: UrlFetcher, url: str) -> None:
        self._fetcher = fetcher
        self._url = url
        self.taken_bytes = 0

    def fetch(self, url: str, *, limit_bytes: int, start: int = 0) -> Iterator[bytes]:
        """Yield what comes."""
        for piece in self._fetcher.fetch(url, limit_bytes=limit_bytes, start=start):
            self.taken_bytes += len(piece) if url == self._url else 0
            yield piece


def _registry() -> HostileRegistry:
    """Return a registry with one bundle, of which SIGNED_BYTES are signed."""
    registry = HostileRegistry()
    role = registry.delegate_class(_CLASS)
    path = registry.add_bundle(_VERSION, role=role, device_class=_CLASS)
    registry.roles[role].targets[path].length = SIGNED_BYTES
    registry.update_snapshot()
    return registry


def _never_ending() -> Iterator[bytes]:
    for _ in range(ENDLESS_BYTES // len(_PIECE)):
        yield _PIECE


def _dripping() -> Iterator[bytes]:
    for _ in range(_DRIPS):
        yield b" "
        time.sleep(_DRIP_S)


def _silent() -> Iterator[bytes]:
    time.sleep(2 * FetchLimits().stall_s)
    yield b""
