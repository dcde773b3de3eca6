"""Bytes that never end, come too slowly, or are no metadata."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.faults.registry_attacks.cut_files import CutFiles
from tests.faults.registry_attacks.station import AttackedStation
from tuf.api.metadata import Snapshot, Targets, Timestamp

from taktgate.contracts.twins import ModelOrder
from taktgate.staging.errors import NotFoundError, StagingError
from taktgate.staging.fetch.patience import FetchLimits
from taktgate.staging.fetch.web import UrlFetcher
from taktgate.staging.registry.client import TufRegistry
from taktgate.staging.registry.limits import RegistryLimits
from taktgate.staging.registry.reasons import Distrust
from taktgate.staging.slots.disk import Disk
from taktgate.staging.states import Request
from taktgate.standin.hostile_registry.repository import HostileRegistry
from taktgate.standin.hostile_registry.server import HostileServer

PIECE = b" " * (1 << 16)
TEN_GB = 10_000_000_000
SOON_S = 1.0
"""Long enough for all that is honest before the lie, on a busy machine."""
FILES = {
    "root": "2.root",
    "timestamp": "timestamp",
    "snapshot": "2.snapshot",
    "targets": "1.targets",
    "class.cpu": "1.class.cpu",
}
ORDER = ("root_history/1.root.json", "timestamp.json", "snapshot.json", "targets.json")


def moved_before(role: str) -> tuple[str, ...]:
    """Return what a first refresh has accepted before it comes to *role*."""
    return ORDER[: max(1, list(FILES).index(role))]


def endless() -> Iterator[bytes]:
    """Yield ten gigabytes."""
    for _ in range(TEN_GB // len(PIECE)):
        yield PIECE


def dripping() -> Iterator[bytes]:
    """Yield a byte now and then, for two minutes."""
    for _ in range(2400):
        yield b" "
        time.sleep(0.05)


def silent() -> Iterator[bytes]:
    """Yield nothing for three seconds."""
    time.sleep(3)
    yield b""


@pytest.mark.parametrize("role", FILES)
def test_endless_metadata_ends_at_the_limit_of_its_role(
    registry: HostileRegistry, station: AttackedStation, server: HostileServer, role: str
) -> None:
    path = f"metadata/{FILES[role]}.json"
    registry.answers[path] = endless
    station.refuses(
        Distrust.ENDLESS_DATA, f"role {role} may have", moved=moved_before(role), judge=False
    )
    assert station.fetched_bytes.get(path, 0) <= RegistryLimits().bytes_of(role)
    assert server.sent_bytes.get(path, 0) < TEN_GB / 100, "the rest are the sockets' buffers"
    station.judge_refuses()
    registry.answers.clear()
    station.accepts()


@pytest.mark.parametrize("role", ["snapshot", "targets", "class.cpu"])
def test_metadata_that_is_longer_than_signed_ends_there(
    registry: HostileRegistry, station: AttackedStation, role: str
) -> None:
    registry.says_hashes = True
    registry.update_snapshot()
    name = "3.snapshot" if role == "snapshot" else FILES[role]
    whole = registry.signed(role)
    registry.answers[f"metadata/{name}.json"] = whole + b" " * 10_000
    station.refuses(Distrust.ENDLESS_DATA, f"role {role}: longer", moved=moved_before(role))
    registry.answers.clear()
    station.accepts()


@pytest.mark.parametrize(
    "limits",
    [RegistryLimits(request_s=SOON_S), RegistryLimits(refresh_s=SOON_S)],
    ids=["one file", "all files"],
)
@pytest.mark.parametrize("role", ["timestamp", "class.cpu"])
def test_dripping_metadata_ends_in_time(
    registry: HostileRegistry, station: AttackedStation, role: str, limits: RegistryLimits
) -> None:
    """python-tuf's own fetcher has no limit for the whole of a download: no judge."""
    station.started(limits=limits)
    registry.answers[f"metadata/{FILES[role]}.json"] = dripping
    began = time.monotonic()
    station.refuses(Distrust.SLOW_RETRIEVAL, FILES[role], moved=moved_before(role), judge=False)
    assert time.monotonic() - began < 30, "and not after two minutes"
    registry.answers.clear()
    station.started()
    station.accepts()


def test_silent_server_ends_in_time(registry: HostileRegistry, station: AttackedStation) -> None:
    """It takes the request, and never sends a byte: no judge, whose wait is 3 tries long."""
    station.started(fetcher=UrlFetcher(limits=FetchLimits(stall_s=SOON_S)))
    registry.answers["metadata/timestamp.json"] = silent
    station.refuses("TIMEOUT", moved=ORDER[:1], judge=False)
    registry.answers.clear()
    station.accepts()


NO_METADATA = {
    "empty": b"",
    "cut off": b'{"signed": {"_type": "times',
    "no UTF-8": b'\xff\xfe{"signed": {}}',
    "no object": b"[]",
    "null": b"null",
    "no fields": b"{}",
    "deep": b"[" * 5_000,
    "number without end": b'{"signed": ' + b"9" * 10_000 + b"}",
    "not a number": b'{"signed": NaN, "signatures": Infinity}',
}


@pytest.mark.parametrize("content", NO_METADATA.values(), ids=NO_METADATA)
def test_bytes_that_are_no_metadata_are_refused(
    registry: HostileRegistry, station: AttackedStation, content: bytes
) -> None:
    station.accepts()
    registry.answers["metadata/timestamp.json"] = content
    station.refuses(Distrust.MALFORMED, "role timestamp")
    registry.answers.clear()
    station.accepts()


@pytest.mark.parametrize("role", FILES)
def test_no_role_takes_what_is_no_metadata(
    registry: HostileRegistry, station: AttackedStation, role: str
) -> None:
    registry.answers[f"metadata/{FILES[role]}.json"] = b"{"
    station.refuses(Distrust.MALFORMED, f"role {role}", moved=moved_before(role))
    registry.answers.clear()
    station.accepts()


@pytest.mark.parametrize("role", FILES)
def test_metadata_of_another_type_is_refused(
    registry: HostileRegistry, station: AttackedStation, role: str
) -> None:
    other = Snapshot.type if role != Snapshot.type else Timestamp.type
    registry.answers[f"metadata/{FILES[role]}.json"] = registry.signed(other)
    station.refuses(Distrust.MALFORMED, f"role {role}", f"type {other}", moved=moved_before(role))
    registry.answers.clear()
    station.accepts()


@pytest.mark.parametrize("role", FILES)
def test_changed_version_breaks_the_signature(
    registry: HostileRegistry, station: AttackedStation, role: str
) -> None:
    if role == "root":
        registry.next_root()
    content = registry.roots[2] if role == "root" else registry.signed(role)
    end = b'"version":%d}}' % registry.roles[role].version
    assert content.endswith(end)
    changed = content.removesuffix(end) + b'"version":99}}'
    registry.answers[f"metadata/{FILES[role]}.json"] = changed
    station.refuses(Distrust.UNSIGNED, f"role {role}", moved=moved_before(role))
    registry.answers.clear()
    station.accepts()


def signed_version(number: bytes) -> bytes:
    """Return the timestamp's version as its JSON has it."""
    return b'"version":' + number


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (b"9" * 400, Distrust.UNSIGNED),
        (b"3.5", Distrust.MALFORMED),
        (b"1e999", Distrust.MALFORMED),
        (b"-3", Distrust.MALFORMED),
        (b"true", Distrust.UNSIGNED),
        (b'"3"', Distrust.MALFORMED),
        (b'3,"version":99', Distrust.UNSIGNED),
    ],
    ids=["huge", "fraction", "infinite", "negative", "no number", "text", "twice, the last counts"],
)
def test_odd_version_is_refused(
    registry: HostileRegistry, station: AttackedStation, number: bytes, reason: Distrust
) -> None:
    station.accepts()
    registry.timestamp.version = 3
    whole = registry.signed(Timestamp.type)
    assert whole.count(signed_version(b"3")) == 1
    odd = whole.replace(signed_version(b"3"), signed_version(number))
    registry.answers["metadata/timestamp.json"] = odd
    station.refuses(reason, "role timestamp")
    registry.answers.clear()
    station.accepts()


def test_key_that_is_there_twice_counts_as_it_was_signed(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    """The signature is over what was parsed, so the other value has no effect anywhere."""
    station.accepts()
    registry.timestamp.version = 3
    registry.answers["metadata/timestamp.json"] = registry.signed(Timestamp.type).replace(
        signed_version(b"3"), signed_version(b'99,"version":3')
    )
    station.accepts()
    trust = station.client.trust()
    assert trust is not None
    assert trust.timestamp == 3


class FilesInMemory:
    """A fetcher whose repository is a dictionary."""

    def __init__(self, registry: HostileRegistry) -> None:
        self.registry = registry

    def fetch(self, url: str, *, limit_bytes: int, start: int = 0) -> Iterator[bytes]:
        """Yield what the registry answers, in one piece."""
        answer = self.registry.answer(url.removeprefix("memory:/"))
        if answer is None:
            raise NotFoundError(url)
        assert isinstance(answer, bytes)
        assert limit_bytes
        yield answer[start:]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_change_of_any_byte_gets_past_the_client(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    registry = HostileRegistry()
    role = registry.delegate_class("cpu")
    registry.add_bundle("1.0.0", role=role, device_class="cpu")
    registry.update_snapshot()
    folder: Path = tmp_path_factory.mktemp("fuzz")
    (folder / "root.json").write_bytes(registry.roots[1])
    name = data.draw(st.sampled_from([Timestamp.type, Snapshot.type, Targets.type, role]))
    content = bytearray(registry.signed(name))
    start = data.draw(st.integers(0, len(content) - 1))
    length = data.draw(st.integers(0, 20))
    content[start : start + length] = data.draw(st.binary(max_size=20))
    registry.answers[f"metadata/{FILES[name]}.json"] = bytes(content)
    client = TufRegistry(
        folder / "trust",
        trusted_root=folder / "root.json",
        fetcher=FilesInMemory(registry),
        disk=Disk(CutFiles()),
        device_class="cpu",
    )
    honest = registry.roles[role].targets["bundles/weld-seam/1.0.0/cpu.bundle"]
    order = ModelOrder(name="weld-seam", version="1.0.0", order="o1")
    try:
        said: str = client.offer(Request(model=order, repository="memory:")).sha256
    except StagingError as error:
        said = error.reason
    assert said in {*Distrust, honest.hashes["sha256"]}
