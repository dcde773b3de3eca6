"""`taktgate world` as a person uses it: processes, exit codes, what is on the screen."""

import argparse
import json
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.waiting import wait_until

from taktgate.cli import main
from taktgate.standin.azure.loopback import LoopbackNetwork, free_loopback_network
from taktgate.standin.azure.world.cli import add_commands
from taktgate.standin.azure.world.running_worlds import records_folder
from taktgate.standin.azure.world.samples import base_content

TIMEOUT_S = 30.0
MODULE = "import time; print('up', flush=True); time.sleep(600)"
LAYER_CONDITION = "tags.ring='canary'"


class Shell:
    """Runs `taktgate world up` as a process and the other commands in this one."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self.started: list[subprocess.Popen[str]] = []
        self._capsys = capsys

    def up(self, *arguments: str) -> "subprocess.Popen[str]":
        process = subprocess.Popen(
            [sys.executable, "-m", "taktgate.cli", "world", "up", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.started.append(process)
        return process

    def sheet(self, *arguments: str) -> dict[str, Any]:
        """Start a world and return what it says of itself."""
        process = self.up("--json", *arguments)
        assert process.stdout is not None
        assert process.stderr is not None
        line = process.stdout.readline()
        assert line, process.stderr.read()
        return dict(json.loads(line))

    def run(self, *arguments: str) -> tuple[int, str, str]:
        self._capsys.readouterr()
        code = main(["world", *arguments])
        return code, *self._capsys.readouterr()

    def ask(self, *arguments: str) -> Any:
        code, out, errors = self.run(*arguments, "--json")
        assert code == 0, errors
        return json.loads(out)

    def end_all(self) -> None:
        for process in self.started:
            process.kill()
            process.communicate(timeout=TIMEOUT_S)


@pytest.fixture
def network() -> LoopbackNetwork:
    return free_loopback_network()


@pytest.fixture
def shell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Shell]:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    shell = Shell(capsys)
    yield shell
    shell.end_all()


@pytest.fixture
def images(tmp_path: Path) -> Path:
    path = tmp_path / "images.json"
    path.write_text(json.dumps({"sleeper": [sys.executable, "-S", "-c", MODULE]}))
    return path


def hub_of(sheet: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return Microsoft's own service client, set up by the sheet alone."""
    from azure.iot.hub import IoTHubConfigurationManager

    monkeypatch.setenv("REQUESTS_CA_BUNDLE", sheet["environment"]["REQUESTS_CA_BUNDLE"])
    return IoTHubConfigurationManager.from_connection_string(sheet["environment"]["LOGIN"])


def deployment(sheet: dict[str, Any], name: str, condition: str, priority: int) -> Any:
    """Return the deployment that the sheet's own command would create."""
    from azure.iot.hub.models import Configuration, ConfigurationContent

    (words,) = [
        shlex.split(each["text"])
        for each in sheet["commands"]
        if f"deployment create -d {name} " in each["text"]
    ]
    content = json.loads(Path(words[words.index("--content") + 1]).read_text())
    return Configuration(
        id=name,
        schema_version="2.0",
        content=ConfigurationContent(modules_content=content["modulesContent"]),
        target_condition=condition,
        priority=priority,
    )


def test_world_is_steered_looked_at_and_ended(
    shell: Shell, images: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheet = shell.sheet("--images", str(images), "--evaluation-period", "3600")
    hub = hub_of(sheet, monkeypatch)
    hub.create_configuration(deployment(sheet, "base", "tags.app='qc'", 10))
    hub.create_configuration(deployment(sheet, "layer", LAYER_CONDITION, 20))
    assert shell.ask("status")["devices"][0]["applied"] == [], "the period is not over"
    assert shell.ask("evaluate") == {"deployments": 2, "devices": 1}
    wait_until(lambda: running(shell) == ["running"])

    code, out, _ = shell.run("offline", "station-1")
    assert (code, out) == (0, "station-1: line to the hub cut\n")
    assert not shell.ask("status")["devices"][0]["is_online"]
    _, screen, _ = shell.run("status")
    assert "station-1" in screen
    assert "base + layer" in screen
    assert "offline" in screen

    (child,) = psutil.Process(shell.started[0].pid).children()
    code, out, _ = shell.run("down")
    assert (code, out) == (0, "world ended\n")
    assert shell.started[0].wait(TIMEOUT_S) == 0
    assert not child.is_running()
    assert not Path(sheet["directory"]).exists()
    assert shell.run("status")[0] == 2


def running(shell: Shell) -> list[str]:
    """Return edgeAgent's words for the modules that have a process."""
    modules = shell.ask("status")["devices"][0]["modules"]
    return [each["runtime"] for each in modules if each["runtime"]]


def write_deployment(folder: Path, priority: int, **routes: str) -> str:
    """Write a deployment for `--deployment`; return the file's name."""
    content = base_content([])
    content["modulesContent"]["$edgeHub"]["properties.desired"]["routes"] = routes
    document = {
        "id": "base",
        "content": content,
        "targetCondition": "tags.line='a'",
        "priority": priority,
    }
    path = folder / "deployment.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return str(path)


def test_kept_world_goes_on_after_a_kill(
    shell: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = str(tmp_path / "state")
    file = write_deployment(tmp_path, priority=10)
    first = shell.sheet("--state", state, "--edge-device", "press-3:line=a", "--deployment", file)
    hub = hub_of(first, monkeypatch)
    authority = Path(first["ca_file"]).read_bytes()
    shell.started[0].kill()
    shell.started[0].wait(TIMEOUT_S)
    second = shell.sheet("--state", state, "--deployment", write_deployment(tmp_path, 12))
    changing = {"control_socket", "workload_sockets"}  # short-lived names, as this path is long
    assert {k: v for k, v in second.items() if k not in changing} == {
        k: v for k, v in first.items() if k not in changing
    }
    assert Path(second["ca_file"]).read_bytes() == authority
    assert [each["name"] for each in second["devices"]] == ["press-3"]
    assert [(each.id, each.priority) for each in hub.get_configurations()] == [("base", 12)]
    wait_until(lambda: shell.ask("status")["devices"][0]["applied"] == ["base"])


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_a_world_cleanly(shell: Shell, number: signal.Signals) -> None:
    process = shell.up()
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("The world runs until"):
            break
    process.send_signal(number)
    out, errors = process.communicate(timeout=TIMEOUT_S)
    assert (process.returncode, out, errors) == (0, "world ended\n", "")
    assert list(records_folder().glob("*.json")) == []


def test_taken_port_is_named_and_nothing_stays(
    shell: Shell, network: LoopbackNetwork, tmp_path: Path
) -> None:
    with socket.create_server((network.address(1), 8443)):
        state = tmp_path / "state"
        code, _, errors = shell.run("up", "--network", network.prefix, "--state", str(state))
    assert code == 2
    assert f"{network.address(1)}:8443 is in use; rule: " in errors
    assert not (state / "world.json").exists()


def test_changed_content_of_a_kept_deployment_is_refused(
    shell: Shell, tmp_path: Path, network: LoopbackNetwork
) -> None:
    state = ["--state", str(tmp_path / "state"), "--network", network.prefix]
    shell.sheet(*state, "--deployment", write_deployment(tmp_path, 10))
    shell.run("down")
    changed = write_deployment(tmp_path, 10, up="FROM /* INTO $upstream")
    code, _, errors = shell.run("up", *state, "--deployment", changed)
    assert code == 2
    assert errors.startswith("taktgate world: deployment base: ")


def test_second_world_on_the_same_state_is_refused(shell: Shell, tmp_path: Path) -> None:
    state = str(tmp_path / "state")
    shell.sheet("--state", state)
    code, _, errors = shell.run("up", "--state", state)
    assert code == 2
    assert "another world runs on it; rule: one at a time" in errors


def test_the_world_that_is_named_is_meant(shell: Shell, tmp_path: Path) -> None:
    for name in ("one", "two"):
        shell.sheet("--state", str(tmp_path / name), "--edge-device", name)
    named = shell.ask("status", "--world", str(tmp_path / "one"))
    newest = shell.ask("status")
    assert [named["devices"][0]["name"], newest["devices"][0]["name"]] == ["one", "two"]
    code, _, errors = shell.run("status", "--world", str(tmp_path / "three"))
    assert code == 2
    assert f"no world runs in {tmp_path / 'three'}" in errors


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["up", "--speed", "0"], "--speed 0.0; rule: above 0"),
        (["up", "--evaluation-period", "-1"], "--evaluation-period -1.0; rule: above 0"),
        (["up", "--port", "70000"], "--port 70000; rule"),
        (["up", "--ring", "canary=1"], "--ring; rule: together with --devices"),
        (["up", "--images", "nothing.json"], "--images nothing.json: No such file"),
        (["quirk", "slow-twin"], "no world runs; rule: start one with `taktgate world up`"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    shell: Shell, arguments: list[str], words: str
) -> None:
    code, out, errors = shell.run(*arguments)
    assert (code, out) == (2, "")
    assert errors.startswith("taktgate world: ")
    assert words in errors
    assert len(errors.splitlines()) == 1


def test_refused_command_is_exit_code_1(shell: Shell) -> None:
    sheet = shell.sheet()
    code, out, errors = shell.run("quirk", "slow-twin", "--device", "nobody")
    assert (code, out) == (1, "")
    assert "no IoT Edge device 'nobody' runs here; rule: one of station-1" in errors
    assert Path(sheet["control_socket"]).stat().st_mode & 0o077 == 0, "for its owner only"


def test_every_command_has_an_example() -> None:
    parsers = command_parsers()
    assert [name for name, each in parsers.items() if "taktgate world" not in each.epilog] == []


def command_parsers() -> dict[str, Any]:
    """Return the parser of each command below `world`."""
    commands = argparse.ArgumentParser().add_subparsers()
    add_commands(commands)
    actions = commands.choices["world"]._actions
    (verbs,) = [each.choices for each in actions if isinstance(each.choices, dict)]
    return verbs
