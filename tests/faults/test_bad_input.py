"""Bad input through the whole stager, with all its real tools, on a station whose model judges.

Whatever comes: a typed reason in the reported property and in the log, the next try if there is
one, and not a byte changed of what is live.
"""

import itertools
import json
import logging
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry.metrics import NoOpMeter
from tests.integration.tiny_bundles import Tiny, write_bundle
from tests.unit.staging.web_server import Answer, Handler, status, web_server, whole

from taktgate.bundle.signing import SigningKey
from taktgate.contracts.activation import Activation, SlotRef
from taktgate.contracts.codec import decode, encode
from taktgate.contracts.runtime import RuntimeFacts
from taktgate.contracts.staged import StagedModel
from taktgate.contracts.twins import StagerReported, StagingPhase, TypedError
from taktgate.edge.hub import DesiredTwin
from taktgate.edge.places import Places
from taktgate.edge.settings import StationSettings
from taktgate.staging.agent import StagerAgent
from taktgate.staging.reporting import Reporter
from taktgate.staging.station_stager import station_stager
from taktgate.standin.azure.certificates import create_authority
from taktgate.standin.hostile_registry.repository import HostileRegistry, in_days
from taktgate.standin.hostile_registry.server import serving
from taktgate.standin.hub import RecordingHub
from taktgate.standin.sample_registry import SampleRegistry

MATRIX: Final = "device_compatibility_matrix.yaml"
OF_THE_REPOSITORY: Final = Path(__file__).parents[2] / "config" / MATRIX
SECRET: Final = "c2VjcmV0LXNpZ25hdHVyZQ"
SAS: Final = f"?sv=2024-11-04&se=2026-01-31T12%3A00%3A00Z&sr=c&sp=r&sig={SECRET}"
BUNDLE: Final = ".bundle"
FIRST: Final = {"version": "1.0.0", "order": "o1"}
TIMESTAMP: Final = "timestamp.json"


@dataclass
class Station:
    """A station in the folder `root`; `started` gives it a stager, as a start of the process."""

    root: Path
    staging: dict[str, Any] = field(default_factory=dict)
    """Of station.yaml."""
    hub: RecordingHub = field(default_factory=RecordingHub)

    @property
    def places(self) -> Places:
        return Places(
            station_file=self.root / "station.yaml",
            config=self.root / "config",
            lane=self.root / "lane",
            private=self.root / "private",
            slots=self.root / "slots",
            state=self.root / "state",
            records=self.root / "records",
            metrics_address="127.0.0.1",
            metrics_port=9600,
        )

    @property
    def registry(self) -> Path:
        return self.root / "registry"

    def started(self) -> StagerAgent:
        settings = StationSettings.model_validate(
            {
                "station": "VIS01",
                "device_class": "cpu",
                "plc": {"address": "127.0.0.1"},
                "camera": {"address": "127.0.0.1:3960"},
                "staging": {"reserve_mb": 0, **self.staging},
            }
        )
        parts = station_stager(self.places, settings, NoOpMeter("test"))
        seconds = itertools.count()
        return StagerAgent(
            hub=self.hub,
            desk=parts.desk,
            stager=parts.stager,
            journal=parts.journal,
            reporter=Reporter(self.hub, clock=lambda: float(next(seconds))),
            make_way=lambda: None,
        )

    def ordered(
        self, repository: str, model: Mapping[str, str], agent: StagerAgent | None = None
    ) -> None:
        """Let the twin ask for *model*, 2.0.0 by default; the stager does what it does at once."""
        agent = agent or self.started()
        wanted = {"name": "tiny", "version": "2.0.0", "order": "o2", **model}
        document = {"model": wanted, "repository": repository}
        agent._mailbox.put(DesiredTwin(document=document, version=1))
        agent.step()

    def reported(self) -> StagerReported:
        return decode(StagerReported, json.dumps(self.hub.reported[-1]["stager"]).encode())

    def live_files(self) -> dict[str, bytes]:
        """Return what a power-up of inference would read, byte by byte."""
        files = [*self.places.slots.glob("slot-*/**/*"), self.places.slots / "announced.json"]
        files += [*self.places.state.glob("*")]
        return {
            str(file.relative_to(self.root)): file.read_bytes() for file in files if file.is_file()
        }


@pytest.fixture(scope="module")
def proven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a station that staged 1.0.0, whose inference has marked it good."""
    station = Station(tmp_path_factory.mktemp("proven"))
    key = SigningKey.generate()
    for folder in ("config/trusted_keys", "slots", "state"):
        (station.root / folder).mkdir(parents=True)
    (station.root / "config" / MATRIX).write_bytes(OF_THE_REPOSITORY.read_bytes())
    (station.root / "config/trusted_keys/t.pub.pem").write_bytes(key.public_pem())
    registry = SampleRegistry(station.registry, keys=station.root / "registry-keys")
    registry.trust_in(station.root / "config")
    stranger = SigningKey.generate()
    for tiny, signer in (
        (Tiny(version="1.0.0"), key),
        (Tiny(version="2.0.0"), key),
        (Tiny(version="3.0.0", weight_is_nan=True), key),
        (Tiny(version="4.0.0"), stranger),
    ):
        registry.release(write_bundle(station.root, tiny, signer))
    station.ordered(station.registry.as_uri(), FIRST)
    report = station.reported()
    assert (report.phase, report.lastError) == (StagingPhase.STAGED, None)
    assert report.staged is not None
    assert report.slot is not None
    good = SlotRef(model=report.staged, order="o1", slot=report.slot)
    activation = Activation(contract="1.2", generation=1, last_known_good=good, settled_order="o1")
    (station.places.state / "activation.json").write_bytes(encode(activation))
    return station.root


@pytest.fixture
def station(proven: Path, tmp_path: Path) -> Station:
    root = tmp_path / "station"
    shutil.copytree(proven, root)
    return Station(root)


@pytest.fixture
def on_end() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


Change = Callable[[bytes], Answer]
"""What is sent in the place of a file."""


def served(
    station: Station, on_end: ExitStack, end: str = "/", change: Change = lambda _: status(500)
) -> str:
    """Serve the registry, the files whose names end with *end* by *change*; return its URL."""

    def answer(handler: Handler) -> None:
        name = handler.path.partition("?")[0]
        file = station.registry / name.lstrip("/")
        if not file.is_file():
            status(404)(handler)
        elif name.endswith(end):
            change(file.read_bytes())(handler)
        else:
            whole(file.read_bytes())(handler)

    return on_end.enter_context(web_server(answer)).url.removesuffix("/b")


def flipped(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@dataclass(frozen=True, kw_only=True)
class Case:
    """One bad input.

    Attributes:
        reason: What is reported.
        says: Words of its message.
        is_retried: Whether the next try is told.
        repository: Arranges it; returns the repository of the order.
        model: How the order differs.
    """

    reason: str
    says: str
    is_retried: bool
    repository: Callable[[Station, ExitStack], str]
    model: dict[str, str] = field(default_factory=dict)


def as_it_is(station: Station, _: ExitStack) -> str:
    return station.registry.as_uri()


def lying(end: str, change: Change) -> Callable[[Station, ExitStack], str]:
    """Serve all but the files whose names end with *end* as it is."""
    return lambda station, on_end: served(station, on_end, end, change)


def self_signed(station: Station, on_end: ExitStack) -> str:
    authority = create_authority(station.root)
    tls = authority.server_context("registry", ["127.0.0.1"])
    server = on_end.enter_context(web_server(status(200), tls))
    return f"https://127.0.0.1:{server.port}"


def gone(station: Station, on_end: ExitStack) -> str:
    with web_server(status(200)) as server:
        return server.url


def expired_sas(station: Station, on_end: ExitStack) -> str:
    answer = status(403, x_ms_error_code="AuthenticationFailed")
    return on_end.enter_context(web_server(answer)).url + SAS


def without(path: str) -> Callable[[Station, ExitStack], str]:
    def arrange(station: Station, _: ExitStack) -> str:
        (station.root / path).unlink()
        return station.registry.as_uri()

    return arrange


def with_rubbish_in(path: str) -> Callable[[Station, ExitStack], str]:
    def arrange(station: Station, _: ExitStack) -> str:
        (station.root / path).write_bytes(b"\0{rubbish: [")
        return station.registry.as_uri()

    return arrange


def other_runtime(station: Station, _: ExitStack) -> str:
    facts = RuntimeFacts(
        contract="1.2", ort="0.0.1", provider="CPUExecutionProvider", fingerprint="x"
    )
    (station.places.state / "runtime.json").write_bytes(encode(facts))
    return station.registry.as_uri()


def without_temporary_files(station: Station, on_end: ExitStack) -> str:
    patch = on_end.enter_context(pytest.MonkeyPatch.context())
    patch.setattr(tempfile, "tempdir", str(station.root / "gone"))
    return station.registry.as_uri()


def full(station: Station, _: ExitStack) -> str:
    station.staging = {"quota_mb": 100}
    with (station.places.slots / "lost+found").open("wb") as file:
        file.truncate(100_000_000)
    return station.registry.as_uri()


CASES: Final[dict[str, Case]] = {
    "an order without its id": Case(
        reason="BAD_TWIN",
        says="'model.order'",
        is_retried=False,
        repository=as_it_is,
        model={"order": ""},
    ),
    "a repository that is no URL": Case(
        reason="BAD_TWIN", says="'repository'", is_retried=False, repository=lambda *_: "http://"
    ),
    "a name that nobody knows": Case(
        reason="NOT_FOUND",
        says="no such bundle",
        is_retried=False,
        repository=as_it_is,
        model={"name": "unknown"},
    ),
    "a server that is not there": Case(
        reason="UNREACHABLE", says="refused", is_retried=True, repository=gone
    ),
    "a certificate that nobody stands for": Case(
        reason="UNREACHABLE", says="certificate", is_retried=True, repository=self_signed
    ),
    "404 for all of it": Case(
        reason="NO_REPOSITORY",
        says="no signed registry there",
        is_retried=True,
        repository=lambda station, on_end: served(station, on_end) + "/elsewhere",
    ),
    "404 for the bundle": Case(
        reason="INCOMPLETE",
        says="signed, but not there",
        is_retried=True,
        repository=lying(BUNDLE, lambda _: status(404)),
    ),
    "403, since the SAS has expired": Case(
        reason="DENIED",
        says="may have expired; it is good until 2026-01-31T12:00:00Z",
        is_retried=True,
        repository=expired_sas,
    ),
    "503": Case(
        reason="UNREACHABLE",
        says="503",
        is_retried=True,
        repository=lying(TIMESTAMP, lambda _: status(503)),
    ),
    "a bundle that says it is longer than signed": Case(
        reason="ENDLESS_DATA",
        says="signed with",
        is_retried=True,
        repository=lying(BUNDLE, lambda its: whole(its, len(its) + 1)),
    ),
    "a bundle that goes on and on": Case(
        reason="ENDLESS_DATA",
        says="signed with",
        is_retried=True,
        repository=lying(BUNDLE, lambda its: whole(its * 20, None)),
    ),
    "a bundle that ends before it said": Case(
        reason="UNREACHABLE",
        says="ended after",
        is_retried=True,
        repository=lying(BUNDLE, lambda its: whole(its[:-9], len(its))),
    ),
    "a truncated bundle": Case(
        reason="TARGET",
        says="not the bytes that the registry signed",
        is_retried=True,
        repository=lying(BUNDLE, lambda its: whole(its[:-9])),
    ),
    "a changed bundle": Case(
        reason="TARGET",
        says="not the bytes that the registry signed",
        is_retried=True,
        repository=lying(BUNDLE, lambda its: whole(flipped(its))),
    ),
    "changed metadata": Case(
        reason="UNSIGNED",
        says="role timestamp",
        is_retried=True,
        repository=lying(
            TIMESTAMP, lambda its: whole(re.sub(rb'"version": ?', b'"version":1', its, count=1))
        ),
    ),
    "cut metadata": Case(
        reason="MALFORMED",
        says="role timestamp",
        is_retried=True,
        repository=lying(TIMESTAMP, lambda its: whole(its[:-9])),
    ),
    "a bundle by a stranger's key": Case(
        reason="SIGNATURE",
        says="",
        is_retried=False,
        repository=as_it_is,
        model={"version": "4.0.0"},
    ),
    "a model that gives NaN": Case(
        reason="SMOKE",
        says="",
        is_retried=False,
        repository=as_it_is,
        model={"version": "3.0.0"},
    ),
    "no keys": Case(
        reason="KEY",
        says="trusted_keys",
        is_retried=True,
        repository=without("config/trusted_keys/t.pub.pem"),
    ),
    "a key that is none": Case(
        reason="KEY",
        says="t.pub.pem",
        is_retried=True,
        repository=with_rubbish_in("config/trusted_keys/t.pub.pem"),
    ),
    "no first root": Case(
        reason="TRUSTED_ROOT",
        says="trusted_root.json in the config folder",
        is_retried=True,
        repository=without("config/trusted_root.json"),
    ),
    "a first root that is none": Case(
        reason="TRUSTED_ROOT",
        says="trusted_root.json in the config folder",
        is_retried=True,
        repository=with_rubbish_in("config/trusted_root.json"),
    ),
    "a matrix that is none": Case(
        reason="DEVICE",
        says=MATRIX,
        is_retried=True,
        repository=with_rubbish_in(f"config/{MATRIX}"),
    ),
    "another runtime than the matrix says": Case(
        reason="DEVICE", says="0.0.1", is_retried=True, repository=other_runtime
    ),
    "a record of inference that is none": Case(
        reason="ACTIVATION",
        says="activation.json",
        is_retried=False,  # it is looked at twice a second
        repository=with_rubbish_in("state/activation.json"),
    ),
    "no place for temporary files": Case(
        reason="DISK",
        says="folder for temporary files: ",
        is_retried=True,
        repository=without_temporary_files,
    ),
    "a volume without room": Case(
        reason="QUOTA", says="100 MB are in use", is_retried=True, repository=full
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=list(CASES))
def test_bad_input_is_reported_with_its_reason_and_leaves_what_is_live_alone(
    case: Case, station: Station, on_end: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    repository = case.repository(station, on_end)
    before = station.live_files()
    with caplog.at_level(logging.WARNING):
        station.ordered(repository, case.model)
    report = station.reported()
    assert_says(report.lastError, case)
    assert report.lastError is not None
    assert logged(caplog, case.reason, retry_at=report.lastError.retryAt)
    assert SECRET not in caplog.text + str(station.hub.reported)
    assert station.live_files() == before
    assert report.staged is not None
    assert report.staged.version == "1.0.0", "it is still announced"


def assert_says(error: TypedError | None, case: Case) -> None:
    assert error is not None
    assert (error.reason, error.retryAt is not None) == (case.reason, case.is_retried), error
    assert case.says in error.message
    assert error.order == (None if case.reason == "BAD_TWIN" else "o2")


def logged(caplog: pytest.LogCaptureFixture, reason: str, *, retry_at: str | None) -> bool:
    return any(
        (getattr(record, "reason", None), getattr(record, "retry_at", None)) == (reason, retry_at)
        for record in caplog.records
    )


def threshold_not_met(registry: HostileRegistry) -> None:
    registry.rotate("timestamp", keys=3, threshold=2)
    registry.next_root()
    registry.signers["timestamp"] = registry.signers["timestamp"][:1]


def rolled_back(registry: HostileRegistry) -> None:
    registry.timestamp.version -= 2


def frozen(registry: HostileRegistry) -> None:
    registry.timestamp.expires = in_days(-1)


def mixed(registry: HostileRegistry) -> None:
    registry.update_snapshot()
    registry.snapshot.version += 1


def endless(registry: HostileRegistry) -> None:
    registry.answers["metadata/timestamp.json"] = lambda: itertools.repeat(b" " * 65536)


@pytest.mark.parametrize(
    ("attack", "reason"),
    [
        (threshold_not_met, "WRONG_THRESHOLD"),
        (rolled_back, "ROLLBACK"),
        (frozen, "FREEZE"),
        (mixed, "MIX_AND_MATCH"),
        (endless, "ENDLESS_DATA"),
    ],
)
def test_an_attack_by_the_registry_ends_in_its_own_reason_and_is_retried(
    attack: Callable[[HostileRegistry], None],
    reason: str,
    station: Station,
    caplog: pytest.LogCaptureFixture,
) -> None:
    registry = HostileRegistry()
    role = registry.delegate_class("cpu")
    registry.update_snapshot()
    (station.places.config / "trusted_root.json").write_bytes(registry.roots[1])
    shutil.rmtree(station.places.slots / "trust")
    before, agent = station.live_files(), station.started()
    with serving(registry) as server, caplog.at_level(logging.WARNING):
        station.ordered(server.url, {"name": "weld-seam"}, agent)
        error = station.reported().lastError
        assert error is not None
        assert error.reason == "NOT_FOUND", "so far it is honest"
        registry.add_bundle("2.0.0", role=role, device_class="cpu")
        registry.update_snapshot()
        attack(registry)
        station.ordered(server.url, {"name": "weld-seam", "order": "o3"}, agent)
    error = station.reported().lastError
    assert error is not None
    assert (error.reason, error.order) == (reason, "o3"), error
    assert error.retryAt is not None
    assert logged(caplog, reason, retry_at=error.retryAt)
    assert station.live_files() == before


def rubbish_trust(station: Station) -> None:
    trust = station.places.slots / "trust"
    for file in trust.rglob("*"):
        if file.is_file():
            file.write_bytes(b"\0{rubbish: [")
    for name in ("root_history/7.root.json", "class.cpu.json", "x", "timestamp.json.tmp"):
        (trust / name).write_bytes(b"rubbish")


def rubbish_record(station: Station) -> None:
    (station.places.slots / "staging.json").write_bytes(b"\xff\0{")


def rubbish_announcement(station: Station) -> None:
    (station.places.slots / "announced.json").write_bytes(b"\xff\0{")


def rotten_slot(station: Station) -> None:
    (model,) = station.places.slots.glob("slot-*/model.onnx")
    model.write_bytes(flipped(model.read_bytes()))


@pytest.mark.parametrize(
    "damage", [rubbish_trust, rubbish_record, rubbish_announcement, rotten_slot]
)
def test_rubbish_on_our_own_volume_is_made_good_by_the_twin_and_the_registry(
    damage: Callable[[Station], None], station: Station, proven: Path
) -> None:
    before = station.live_files()
    damage(station)
    station.ordered(station.registry.as_uri(), FIRST)
    report = station.reported()
    assert report.lastError is None
    assert report.phase in (StagingPhase.STAGED, StagingPhase.CONFIRMED)
    assert not_renewed(station.live_files()) == before


def not_renewed(files: dict[str, bytes]) -> dict[str, bytes]:
    """Return *files* without the number of the announcement, which was made anew."""
    notice = decode(StagedModel, files["slots/announced.json"])
    return {**files, "slots/announced.json": encode(replace(notice, renewed=0))}


def test_keys_that_are_missing_at_a_start_are_reported_and_what_is_announced_is_verified_after(
    station: Station,
) -> None:
    key = station.places.config / "trusted_keys/t.pub.pem"
    content = key.read_bytes()
    key.unlink()
    rotten_slot(station)
    agent = station.started()
    agent.step()
    report = station.reported()
    assert report.lastError is not None
    assert (report.phase, report.lastError.reason) == (StagingPhase.CONFIRMED, "KEY")
    key.write_bytes(content)
    agent.step()
    agent.step()
    report = station.reported()
    assert (report.phase, report.lastError) == (StagingPhase.CONFIRMED, None)
