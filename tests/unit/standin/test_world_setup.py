"""What `world up` is given, and what a kept world makes of it."""

import json
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.standin.azure.errors import WorldSetupError
from taktgate.standin.azure.world.options import (
    parse_device,
    parse_network,
    parse_rings,
    read_deployments,
    read_images,
)
from taktgate.standin.azure.world.setup import (
    DEFAULT_DEVICE,
    DEFAULT_TAGS,
    FILE_NAME,
    WishedDevice,
    Wishes,
    WorldSetup,
    fulfil,
    load_setup,
    save_setup,
    tags_of,
    with_gateways,
)

CONTENT: dict[str, Any] = {"modulesContent": {"$edgeAgent": {"properties.desired": {}}}}
LAYER: dict[str, Any] = {"modulesContent": {"m": {"properties.desired.x": 1}}}


def free() -> str:
    return "127.9.8"


def written(folder: Path, content: Any) -> Path:
    path = folder / "Base 1.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


class TestSetup:
    def test_new_world_without_wishes_has_one_device(self) -> None:
        setup = fulfil(Wishes(), None, free)
        assert (setup.network, setup.gateways) == ("127.9.8", {DEFAULT_DEVICE: 2})

    def test_world_of_light_devices_has_no_other(self) -> None:
        assert fulfil(Wishes(light_devices={"broad": 3}), None, free).gateways == {}

    def test_kept_world_stays_as_it_was(self) -> None:
        kept = replace(WorldSetup(network="127.1.2"), gateways={"a": 7}, hub_port=9443)
        assert fulfil(Wishes(), kept, free) == kept

    def test_new_device_gets_an_address_of_its_own(self) -> None:
        kept = replace(WorldSetup(network="127.1.2"), gateways={"a": 2, "c": 4})
        setup = fulfil(Wishes(devices=(WishedDevice(name="b"),)), kept, free)
        assert setup.gateways == {"a": 2, "c": 4, "b": 3}

    def test_saved_setup_is_loaded_alike_and_is_for_its_owner_only(self, tmp_path: Path) -> None:
        setup = fulfil(Wishes(images={"a": ("run",)}, light_devices={"canary": 1}), None, free)
        save_setup(tmp_path, setup)
        assert load_setup(tmp_path) == setup
        assert stat.S_IMODE((tmp_path / FILE_NAME).stat().st_mode) == 0o600

    def test_folder_without_a_world_has_no_setup(self, tmp_path: Path) -> None:
        assert load_setup(tmp_path) is None

    @pytest.mark.parametrize(
        ("change", "field"),
        [({"network": "10.0.0"}, "network"), ({"hub_port": 0}, "hub_port"), ({"x": 1}, "x")],
    )
    def test_spoilt_setup_is_refused_with_its_field(
        self, tmp_path: Path, change: dict[str, Any], field: str
    ) -> None:
        save_setup(tmp_path, WorldSetup(network="127.1.2"))
        path = tmp_path / FILE_NAME
        path.write_text(json.dumps(json.loads(path.read_text()) | change), encoding="utf-8")
        with pytest.raises(WorldSetupError, match=rf"world\.json.*'{field}'"):
            load_setup(tmp_path)

    def test_device_of_an_earlier_run_keeps_the_tags_that_the_hub_has(self) -> None:
        kept = replace(WorldSetup(network="127.1.2"), gateways={"old": 2})
        wishes = Wishes(devices=(WishedDevice(name="asked", tags={"ring": "x"}),))
        tags = {name: tags_of(wishes, kept, name) for name in ("old", "asked", "new")}
        assert tags == {"old": None, "asked": {"ring": "x"}, "new": dict(DEFAULT_TAGS)}

    @given(st.lists(st.text("abc", min_size=1, max_size=4), max_size=40))
    def test_no_two_devices_share_an_address(self, names: list[str]) -> None:
        gateways = with_gateways({"z": 3}, names)
        assert set(gateways) == {"z", *names}
        assert len(set(gateways.values())) == len(gateways)

    def test_there_are_as_many_devices_as_addresses(self) -> None:
        names = [f"d{number}" for number in range(253)]
        with_gateways({}, names)
        with pytest.raises(WorldSetupError, match="at most 253"):
            with_gateways({}, [*names, "one-more"])


class TestDevice:
    def test_tags_are_merged_into_the_usual_ones(self) -> None:
        device = parse_device("press-3:ring=broad,line=a=b")
        assert device.name == "press-3"
        assert device.tags == {**DEFAULT_TAGS, "ring": "broad", "line": "a=b"}

    @pytest.mark.parametrize("text", ["", "a/b", "../x", "-a", "a:ring", "a:=x", "a:r i=x"])
    def test_wrong_device_is_refused(self, text: str) -> None:
        with pytest.raises(WorldSetupError, match=r"--edge-device .*; rule: "):
            parse_device(text)


class TestRings:
    def test_rest_is_in_ring_broad(self) -> None:
        assert parse_rings(200, ["canary=5", "early=20"]) == {
            "canary": 5,
            "early": 20,
            "broad": 175,
        }

    @pytest.mark.parametrize(
        ("devices", "rings"),
        [(-1, []), (10_001, []), (3, ["canary=4"]), (3, ["canary"]), (3, ["=1"]), (3, ["a=-1"])],
    )
    def test_wrong_rings_are_refused(self, devices: int, rings: list[str]) -> None:
        with pytest.raises(WorldSetupError, match="; rule: "):
            parse_rings(devices, rings)


@pytest.mark.parametrize("text", ["127.0", "127.1.256", "10.0.0", "127.1.2.3", "127.a.b", ""])
def test_wrong_network_is_refused(text: str) -> None:
    with pytest.raises(WorldSetupError, match="--network"):
        parse_network(text)


class TestImages:
    def test_command_may_be_words_or_one_text(self, tmp_path: Path) -> None:
        path = written(tmp_path, {"a": ["python3", "a b.py"], "b": "python3 'c d.py'"})
        assert read_images(path) == {"a": ("python3", "a b.py"), "b": ("python3", "c d.py")}

    @pytest.mark.parametrize(
        "content",
        ["{", "[]", '{"a": []}', '{"a": [1]}', '{"a": null}', '{"": ["x"]}', '{"a":"\'"}'],
    )
    def test_wrong_file_is_refused(self, tmp_path: Path, content: str) -> None:
        with pytest.raises(WorldSetupError, match=r"--images .*Base 1"):
            read_images(written(tmp_path, content))

    def test_missing_file_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(WorldSetupError, match="No such file"):
            read_images(tmp_path / "nothing.json")


class TestDeployments:
    def test_whole_deployment_stays_as_it_is(self, tmp_path: Path) -> None:
        document = {"id": "base", "content": CONTENT, "priority": 3}
        assert read_deployments(written(tmp_path, document)) == [document]

    @pytest.mark.parametrize("wrap", [lambda c: c, lambda c: {"content": c}])
    @pytest.mark.parametrize(("content", "priority"), [(CONTENT, 10), (LAYER, 20)])
    def test_content_alone_is_for_every_device(
        self, tmp_path: Path, content: Any, priority: int, wrap: Callable[[Any], Any]
    ) -> None:
        (document,) = read_deployments(written(tmp_path, wrap(content)))
        assert document["id"] == "base-1"
        assert (document["targetCondition"], document["priority"]) == ("*", priority)
        assert document["content"] == content

    @pytest.mark.parametrize(
        ("content", "rule"),
        [
            ("7", "rule: an object"),
            ({"modules": {}}, "`id`, or `modulesContent`"),
            ({"modulesContent": []}, "`id`, or `modulesContent`"),
            ({"modulesContent": {"m": 1}}, "`id`, or `modulesContent`"),
            ({"$schema-template": "4.0.0", **CONTENT}, "is a template"),
        ],
    )
    def test_other_documents_are_refused(self, tmp_path: Path, content: Any, rule: str) -> None:
        with pytest.raises(WorldSetupError, match=rule):
            read_deployments(written(tmp_path, content))
