"""The hub's store: a restart finds what was answered, also after a kill."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.unit.standin.iothub_bench import BASE, LAYER, add_stations, deployment

from taktgate.standin.azure.errors import HubRequestError, HubStoreError
from taktgate.standin.azure.iothub.hub import IotHub
from taktgate.standin.azure.iothub.policies import PolicyKeys
from taktgate.standin.azure.iothub.store import HubStore

DIES = """
import os, signal, sys
from pathlib import Path
from taktgate.standin.azure.iothub.hub import IotHub
from taktgate.standin.azure.iothub.store import HubStore
hub = IotHub(store=HubStore(Path(sys.argv[1])))
for number in range(50):
    hub.put_device(f"d{number}", {})
    hub.change_twin(f"d{number}", None, {"tags": {"n": number}})
    print(number, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def filled(path: Path) -> IotHub:
    hub = IotHub(store=HubStore(path))
    add_stations(hub, a="canary", b="broad")
    hub.put_configuration("base", deployment(labels={"x": "y"}))
    hub.put_configuration("model", deployment("tags.ring='canary'", LAYER, 20))
    hub.put_configuration("gone", deployment(""))
    hub.delete_configuration("gone")
    hub.patch_reported("a", "stager", {"phase": "live"})
    hub.put_device("gone", {})
    hub.delete_device("gone")
    hub.set_policy_keys("service", PolicyKeys(primary=b"p" * 32, secondary=b"s" * 32))
    return hub


def reopened(path: Path) -> IotHub:
    return IotHub(store=HubStore(path))


def test_restart_finds_identities_twins_configurations_and_keys(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"
    before, after = filled(path), reopened(path)
    assert list(after.registry.identities()) == list(before.registry.identities())
    assert [each.etag for each in after.configurations.all()] == [
        each.etag for each in before.configurations.all()
    ]
    assert after.configurations.get("base").labels == {"x": "y"}
    for name in after.policies.names:
        assert after.policies.keys(name) == before.policies.keys(name)


def test_restart_changes_no_twin_and_goes_on_where_it_was(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"
    filled(path)
    after = reopened(path)
    version = after.twin_properties("a", "stager").desired_version
    after.evaluate_deployments()
    assert after.twin_properties("a", "stager").desired_version == version
    after.delete_configuration("model")
    desired = reopened(path).twin_properties("a", "stager").desired
    assert desired == BASE["stager"]["properties.desired"]


def test_layer_that_ends_while_the_hub_is_away_is_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"
    hub = IotHub(store=HubStore(path))
    add_stations(hub, a="canary")
    hub.put_configuration("base", deployment())
    extra = {
        "stager": {"properties.desired.extra": 1},
        "beside": {"properties.desired.extra": 1},
    }
    hub.put_configuration("extra", deployment("*", extra, 20))
    hub.schedule.is_at_each_change = False
    hub.delete_configuration("extra")
    after = reopened(path)
    assert "extra" in after.twin_properties("a", "stager").desired
    after.evaluate_deployments()
    assert "extra" not in after.twin_properties("a", "stager").desired
    assert after.twin_properties("a", "beside").desired == {}


def test_kill_loses_nothing_that_was_answered(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"
    ended = subprocess.run(
        [sys.executable, "-c", DIES, str(path)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == -signal.SIGKILL
    answered = [int(line) for line in ended.stdout.split()]
    assert answered == list(range(50))
    hub = reopened(path)
    assert [hub.identity(f"d{n}").tags for n in answered] == [{"n": n} for n in answered]


def test_new_numbers_come_after_old_ones(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"
    filled(path)
    after = reopened(path)
    highest = max(each.number for each in after.registry.identities())
    assert after.put_device("new", {}).number > highest
    etags = {each.etag for each in after.configurations.all()}
    assert after.put_configuration("next", deployment("")).etag not in etags


@pytest.mark.parametrize("content", [b"no database", b"SQLite format 3\x00" + b"\xff" * 200])
def test_file_of_something_else_is_refused_and_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "hub.sqlite"
    path.write_bytes(content)
    with pytest.raises(HubStoreError, match="cannot be read as a hub's store"):
        HubStore(path)
    assert path.read_bytes() == content


def test_store_of_another_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"
    with HubStore(path) as store:
        store._database.execute("PRAGMA user_version = 99")
    with pytest.raises(HubStoreError, match="version 99; rule: 1"):
        HubStore(path)


def test_broken_row_is_refused_with_the_file_named(tmp_path: Path) -> None:
    path = tmp_path / "hub.sqlite"
    filled(path)
    with HubStore(path) as store:
        store._database.execute("UPDATE identities SET document = '{}'")
    with pytest.raises(HubStoreError, match=r"hub\.sqlite"):
        reopened(path)


class FullStore(HubStore):
    """A store whose disk is full for a while."""

    is_full = False

    def save(self, **content: Any) -> None:
        if self.is_full:
            raise HubStoreError("database or disk is full")
        super().save(**content)


def test_change_that_finds_no_room_is_500_and_stored_with_the_next(tmp_path: Path) -> None:
    store = FullStore(tmp_path / "hub.sqlite")
    hub = IotHub(store=store)
    hub.put_device("a", {})
    store.is_full = True
    with pytest.raises(HubRequestError) as refused:
        hub.change_twin("a", None, {"tags": {"ring": "canary"}})
    assert refused.value.status == 500
    store.is_full = False
    hub.put_device("b", {})
    after = reopened(tmp_path / "hub.sqlite")
    assert after.identity("a").tags == {"ring": "canary"}


def test_only_an_identity_of_the_runtime_is_given_back(tmp_path: Path) -> None:
    hub = IotHub(store=HubStore(tmp_path / "hub.sqlite"))
    hub.put_device("a", {"capabilities": {"iotEdge": True}})
    hub.ensure_module("a", "runtimes")
    hub.put_module("a", "somebodys", {})
    for module in ("runtimes", "somebodys", "nobodys"):
        hub.release_module("a", module)
    after = reopened(tmp_path / "hub.sqlite")
    assert set(after.registry.device("a").modules) == {"$edgeAgent", "$edgeHub", "somebodys"}
