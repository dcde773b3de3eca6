"""Small parts of the local Azure: manifests, mounts, images, restarts, tokens."""

from pathlib import Path
from typing import Any

import pytest

from taktgate.standin.azure import sas
from taktgate.standin.azure.edgeagent.manifest import RestartPolicy, WantedStatus, parse_modules
from taktgate.standin.azure.edgeagent.mounts import plan_mounts, volume_directory
from taktgate.standin.azure.edgeagent.process_images import ProcessImages, image_name
from taktgate.standin.azure.edgeagent.restart_policy import BackOff, shall_restart
from taktgate.standin.azure.errors import ManifestError

MODULE: dict[str, Any] = {
    "type": "docker",
    "status": "running",
    "restartPolicy": "always",
    "settings": {"image": "r/probe:1", "createOptions": "{}"},
}
KEY = b"key"


def agent(**modules: Any) -> dict[str, Any]:
    return {"schemaVersion": "1.1", "modules": modules}


@pytest.mark.azure(
    "edgeAgent",
    "Modules start in the order of startupOrder; one without it comes last",
    source="Azure/iotedge doc/ModuleStartupOrder.md",
)
def test_modules_come_in_order_of_start() -> None:
    wanted = parse_modules(
        agent(
            last=MODULE, second={**MODULE, "startupOrder": 2}, first={**MODULE, "startupOrder": 1}
        )
    )
    assert [each.spec.name for each in wanted] == ["first", "second", "last"]


@pytest.mark.azure(
    "edgeAgent",
    "createOptions may be cut into createOptions, createOptions01, and so on",
    source="learn.microsoft.com/azure/iot-edge/module-edgeagent-edgehub",
)
@pytest.mark.parametrize(
    "settings",
    [
        {"image": "i", "createOptions": '{"Env": ["A=1"]}'},
        {"image": "i", "createOptions": '{"Env": [', "createOptions01": '"A=1"]}'},
        {"image": "i", "createOptions": {"Env": ["A=1"]}},
    ],
)
def test_create_options_may_be_text_chunks_or_an_object(settings: dict[str, Any]) -> None:
    (wanted,) = parse_modules(agent(m={**MODULE, "settings": settings}))
    assert wanted.spec.create_options == {"Env": ["A=1"]}


@pytest.mark.azure(
    "edgeAgent",
    "A change of status alone starts or stops a module and does not make it anew",
    source="Azure/iotedge edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.Docker/DockerModule.cs",
)
def test_change_of_status_alone_is_no_update() -> None:
    (running,) = parse_modules(agent(m=MODULE))
    (stopped,) = parse_modules(agent(m={**MODULE, "status": "stopped"}))
    assert running.spec == stopped.spec
    assert stopped.status is WantedStatus.STOPPED


@pytest.mark.parametrize(
    ("document", "rule"),
    [
        ({"schemaVersion": "2.0"}, "schemaVersion '2.0'; rule: 1.0 or 1.1"),
        (agent(m={"type": "docker"}), "m.settings.image; rule"),
        (agent(m={**MODULE, "type": "snap"}), "m.type 'snap'; rule: docker"),
        (agent(m={**MODULE, "restartPolicy": "often"}), "m.restartPolicy 'often'; rule: one of"),
        (agent(m={**MODULE, "startupOrder": -1}), "m.startupOrder -1; rule"),
        (agent(m={**MODULE, "env": {"A": "1"}}), "m.env.A; rule"),
        (agent(m={**MODULE, "settings": {"image": "i", "createOptions": "{"}}), "is not JSON"),
    ],
)
def test_wrong_manifest_names_field_and_rule(document: dict[str, Any], rule: str) -> None:
    with pytest.raises(ManifestError, match=rule):
        parse_modules(document)


def test_mount_targets_become_directories(tmp_path: Path) -> None:
    options = {
        "HostConfig": {
            "Binds": ["slots:/var/lib/slots", "/etc/plant:/etc/plant:ro", "lane:/run/lane:rw"],
            "Tmpfs": {"/tmp": "size=8m"},
        }
    }
    given = tmp_path / "given"
    plan = plan_mounts("m", options, directory=tmp_path, volumes={"/etc/plant": given})
    slots = volume_directory(tmp_path, "slots")
    assert plan.to_host("/var/lib/slots") == str(slots)
    assert plan.to_host("/var/lib/slots/a/b") == str(slots / "a" / "b")
    assert plan.to_host("/var/lib/slots-2") == "/var/lib/slots-2"
    assert plan.to_host("/etc/plant/station.yaml") == str(given / "station.yaml")
    assert plan.to_host("http://host/tmp") == "http://host/tmp"
    other = plan_mounts("n", options, directory=tmp_path, volumes={})
    assert other.to_host("/run/lane") == plan.to_host("/run/lane")
    assert other.to_host("/tmp") != plan.to_host("/tmp")


@pytest.mark.parametrize("bind", ["", "a", ":/b", "a:b", "a:/b:ro:x", 7])
def test_malformed_bind_is_refused(tmp_path: Path, bind: object) -> None:
    with pytest.raises(ManifestError, match="rule: source:/target"):
        plan_mounts("m", {"HostConfig": {"Binds": [bind]}}, directory=tmp_path, volumes={})


@pytest.mark.parametrize(
    "image",
    [
        "inference",
        "inference:1.2",
        "reg:5000/team/inference:1.2-amd64",
        "reg/inference@sha256:00",
        "reg/inference:1@sha256:00",
    ],
)
def test_image_is_known_by_the_last_part_of_its_path(image: str) -> None:
    assert image_name(image) == "inference"
    assert ProcessImages(commands={"inference": ["run"]}).command(image) == ("run",)


def test_unknown_image_is_refused() -> None:
    with pytest.raises(ManifestError, match="its name is one of a, b"):
        ProcessImages(commands={"a": [], "b": []}).command("c")


@pytest.mark.azure(
    "edgeAgent",
    "The wait before a restart is 10 s, doubles each time, and ends at 300 s",
    source="Azure/iotedge edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.Core/"
    "RestartPolicyManager.cs",
)
def test_back_off_doubles_up_to_its_cap() -> None:
    delays = [BackOff().delay_s(restarts) for restarts in range(7)]
    assert delays == [10, 20, 40, 80, 160, 300, 300]


@pytest.mark.parametrize(
    ("policy", "after_0", "after_1"),
    [
        (RestartPolicy.ALWAYS, True, True),
        (RestartPolicy.ON_FAILURE, False, True),
        (RestartPolicy.ON_UNHEALTHY, False, True),
        (RestartPolicy.NEVER, False, False),
    ],
)
def test_restart_policy(policy: RestartPolicy, after_0: bool, after_1: bool) -> None:
    assert (shall_restart(policy, 0), shall_restart(policy, 1)) == (after_0, after_1)


def test_token_is_good_for_its_resource_and_what_lies_below() -> None:
    token = sas.parse(sas.make("hub/devices/d", key=KEY, lifetime_s=60, key_name="owner"))
    assert token.key_name == "owner"
    sas.check(token, resource="HUB/devices/d/modules/m", key=KEY)


@pytest.mark.parametrize(
    ("resource", "key", "lifetime_s", "reason"),
    [
        ("hub/devices/d", KEY, -1, "expired"),
        ("hub/devices/d2", KEY, 60, "not for"),
        ("hub/devices/d", b"other", 60, "signature"),
    ],
)
def test_wrong_token_is_refused(resource: str, key: bytes, lifetime_s: int, reason: str) -> None:
    token = sas.parse(sas.make("hub/devices/d", key=KEY, lifetime_s=lifetime_s))
    with pytest.raises(sas.SasRefusedError, match=reason):
        sas.check(token, resource=resource, key=key)


@pytest.mark.parametrize("text", ["", "Bearer x", "SharedAccessSignature sr=a&se=1", "a=b"])
def test_malformed_token_is_refused(text: str) -> None:
    with pytest.raises(sas.SasRefusedError):
        sas.parse(text)
