"""Who may sign what, and in which order it is asked: test_updater_delegation_graphs.py."""

from dataclasses import dataclass, field

import pytest
from tests.faults.registry_attacks.station import AttackedStation

from taktgate.bundle.targets import class_role
from taktgate.staging.registry.limits import RegistryLimits
from taktgate.staging.registry.reasons import Distrust
from taktgate.standin.hostile_registry.repository import HostileRegistry
from taktgate.standin.hostile_registry.server import HostileServer

ANY = ["bundles/*/*/*.bundle"]
NONE = ["reports/*"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Edge:
    """A delegation."""

    by: str
    to: str
    terminating: bool = False
    paths: list[str] = field(default_factory=lambda: ANY)


def edges(*pairs: str) -> list[Edge]:
    """Return delegations of everything, from "AB" for A to B; T is the targets role."""
    return [Edge(by={"T": "targets"}.get(pair[0], pair[0]), to=pair[1]) for pair in pairs]


E = Edge
GRAPHS = {
    "basic delegation": (edges("TA"), "A"),
    "single level delegations": (edges("TA", "TB"), "AB"),
    "two-level delegations": (edges("TA", "TB", "BC"), "ABC"),
    "two-level test DFS order of traversal": (edges("TA", "TB", "AC", "AD"), "ACDB"),
    "three-level delegation test DFS order of traversal": (
        edges("TA", "TB", "AC", "CD"),
        "ACDB",
    ),
    "two-level terminating ignores all but role's descendants": (
        [*edges("TA", "TB"), E(by="A", to="C", terminating=True), E(by="A", to="D")],
        "AC",
    ),
    "three-level terminating ignores all but role's descendants": (
        [*edges("TA", "TB"), E(by="A", to="C", terminating=True), E(by="C", to="D")],
        "ACD",
    ),
    "two-level ignores all branches not matching 'paths'": (
        [E(by="targets", to="A", paths=NONE), *edges("TB", "AC")],
        "B",
    ),
    "three-level ignores all branches not matching 'paths'": (
        [*edges("TA", "TB"), E(by="A", to="C", paths=NONE), *edges("CD")],
        "AB",
    ),
    "cyclic graph": (edges("TA", "TB", "BC", "CD", "DB"), "ABCD"),
    "two roles delegating to a third": (edges("TA", "TB", "BC", "AC"), "ACB"),
    "two roles delegating to a third different 'paths'": (
        [*edges("TA", "TB", "BC"), E(by="A", to="C", paths=NONE)],
        "ABC",
    ),
    "max number of delegations": (edges("TA", "TB", "TC", "CD", "CE"), "ABCD"),
}


@pytest.fixture
def registry() -> HostileRegistry:
    """Delegate nothing yet."""
    return HostileRegistry()


@pytest.mark.parametrize(("graph", "visited"), GRAPHS.values(), ids=GRAPHS)
def test_graph_traversal(
    registry: HostileRegistry, station: AttackedStation, graph: list[Edge], visited: str
) -> None:
    for edge in graph:
        registry.delegate(edge.to, edge.paths, by=edge.by, terminating=edge.terminating)
    registry.update_snapshot()
    station.started(limits=RegistryLimits(delegations=4))
    asked_for = len(registry.asked)
    with pytest.raises(Exception, match="no such bundle"):
        station.offer()
    delegated = [path for path in registry.asked[asked_for:] if path[-6] in "ABCDE"]
    assert delegated == [f"metadata/1.{role}.json" for role in visited]


def test_unsigned_delegated_role_ends_the_search(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    registry.delegate("invalid", ANY)
    role = registry.delegate("B", ANY)
    registry.add_bundle("1.0.0", role="B", device_class="cpu")
    registry.update_snapshot()
    signers, registry.signers["invalid"] = registry.signers["invalid"], []
    station.refuses(
        Distrust.UNSIGNED,
        "role invalid",
        "targets 1",
        moved=("root_history/1.root.json", "timestamp.json", "snapshot.json", "targets.json"),
    )
    assert "metadata/1.B.json" not in registry.asked
    registry.signers["invalid"] = signers
    assert station.accepts().path in role.targets


@pytest.mark.parametrize("name", ["../a", ".", "/", "ö"])
def test_role_names_are_encoded_safely(
    registry: HostileRegistry, station: AttackedStation, name: str
) -> None:
    registry.delegate(name, ANY)
    registry.add_bundle("1.0.0", role=name, device_class="cpu")
    registry.update_snapshot()
    station.accepts()
    names = {path.name for path in station.trust.iterdir()}
    assert names == {
        "root_history",
        "timestamp.json",
        "snapshot.json",
        "targets.json",
        "clock.json",
        {"../a": "..%2Fa", ".": ".", "/": "%2F", "ö": "%C3%B6"}[name] + ".json",
    }


def test_class_role_cannot_sign_for_another_class(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    """The keys of the class gpu are stolen: they sign a bundle for cpu, which nobody looks at."""
    registry.delegate_class("gpu")
    registry.delegate_class("cpu")
    registry.add_bundle("1.0.0", role=class_role("gpu"), device_class="cpu")
    registry.update_snapshot()
    station.lacks()
    assert "metadata/1.class.gpu.json" not in registry.asked
    registry.add_bundle("1.0.0", role=class_role("cpu"), device_class="cpu")
    registry.roles[class_role("cpu")].version += 1
    registry.update_snapshot()
    station.accepts()


def test_class_role_ends_the_search_for_its_class(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    """Terminating: what the role of a class does not have, no later role may bring in."""
    registry.delegate_class("cpu")
    registry.delegate("greedy", ANY)
    registry.add_bundle("1.0.0", role="greedy", device_class="cpu")
    registry.update_snapshot()
    station.lacks()
    assert "metadata/1.greedy.json" not in registry.asked


def test_role_that_the_snapshot_does_not_know_is_refused(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    registry.update_snapshot()
    registry.delegate_class("cpu")
    registry.targets.version += 1
    registry.update_snapshot()
    del registry.snapshot.meta["class.cpu.json"]
    everything = ("root_history/1.root.json", "timestamp.json", "snapshot.json", "targets.json")
    station.refuses(Distrust.MIX_AND_MATCH, "not in the snapshot", moved=everything)
    registry.update_snapshot()
    station.lacks()


def test_fewer_keys_of_a_class_than_must_sign_are_key_loss(
    registry: HostileRegistry, station: AttackedStation
) -> None:
    registry.delegate("class.cpu", ANY, threshold=2)
    registry.update_snapshot()
    everything = ("root_history/1.root.json", "timestamp.json", "snapshot.json", "targets.json")
    station.refuses(Distrust.KEY_LOSS, "role class.cpu", "2 must sign", moved=everything)


def test_roles_of_other_classes_are_not_fetched(
    registry: HostileRegistry, station: AttackedStation, server: HostileServer
) -> None:
    registry.add_bundle("1.0.0", role=registry.delegate_class("cpu"), device_class="cpu")
    registry.delegate_class("gpu")
    registry.update_snapshot()
    station.offer()
    assert "metadata/1.class.gpu.json" not in registry.asked
