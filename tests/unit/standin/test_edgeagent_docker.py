"""Modules as containers: what the engine is asked, and what is made of its answers.

The engine is a stand-in with the shapes of API v1.43; no real one was at hand.
"""

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.standin.docker_engine_bench import DIGEST, FakeEngine
from tests.unit.standin.edgeagent_bench import DEVICE, wanted

from taktgate.standin.azure.edgeagent.docker.engine import agreed_version
from taktgate.standin.azure.edgeagent.docker.recipe import (
    create_body,
    pull_query,
    registry_auth,
)
from taktgate.standin.azure.edgeagent.docker.runtime import DockerRuntime
from taktgate.standin.azure.edgeagent.docker.settings import DockerSettings
from taktgate.standin.azure.edgeagent.docker.stream import FrameReader, PullProgress, log_lines
from taktgate.standin.azure.edgeagent.errors import EngineUnreachableError, StepFailedError
from taktgate.standin.azure.edgeagent.manifest import parse_modules
from taktgate.standin.azure.edgeagent.runtime import (
    LogWindow,
    ModuleRecipe,
    RegistryLogin,
    registry_logins,
)

IMAGE = "reg.example.io:5000/team/a:1"
NAME = f"{DEVICE}.a"
IDENTITY = {"IOTEDGE_WORKLOADURI": "unix:///run/s/a", "IOTEDGE_GATEWAYHOSTNAME": "127.0.0.2"}


def recipe(options: dict[str, Any] | None = None, **env: str) -> ModuleRecipe:
    module = wanted(IMAGE, settings={"image": IMAGE, "createOptions": json.dumps(options or {})})
    (parsed,) = parse_modules({"schemaVersion": "1.1", "modules": {"a": module}})
    return ModuleRecipe(spec=parsed.spec, env=env, identity=IDENTITY)


def run(
    tmp_path: Path,
    job: Callable[[DockerRuntime, FakeEngine], Awaitable[None]],
    *,
    engine: FakeEngine | None = None,
    settings: DockerSettings | None = None,
) -> FakeEngine:
    found = engine or FakeEngine({IMAGE})
    at = replace(settings or DockerSettings(), socket=tmp_path / "docker.sock")

    async def main() -> None:
        await found.start(at.socket)
        runtime = DockerRuntime(at, device=DEVICE)
        try:
            await runtime.open()
            await job(runtime, found)
        finally:
            await runtime.close()
            await found.stop()

    asyncio.run(main())
    return found


def test_container_is_made_started_and_waited_for(tmp_path: Path) -> None:
    async def job(runtime: DockerRuntime, engine: FakeEngine) -> None:
        assert not await runtime.has_image(IMAGE)
        await runtime.pull(IMAGE, [])
        assert await runtime.has_image(IMAGE)
        await runtime.create(recipe())
        assert await runtime.start("a") == 4711
        state = await runtime.state("a")
        assert state is not None
        assert (state.is_running, state.image_hash) == (True, DIGEST)
        waiting = asyncio.create_task(runtime.wait("a"))
        await asyncio.sleep(0)
        engine.end(NAME, 3)
        assert await waiting == 3

    run(tmp_path, job)


def test_container_is_stopped_with_its_grace_and_removed(tmp_path: Path) -> None:
    async def job(runtime: DockerRuntime, engine: FakeEngine) -> None:
        await runtime.pull(IMAGE, [])
        await runtime.create(recipe())
        await runtime.start("a")
        assert await runtime.stop("a", 7.0) == 143
        assert await runtime.stop("a", 7.0) == 143
        await runtime.remove("a")
        await runtime.remove("a")
        assert await runtime.state("a") is None
        assert f"stop {NAME} 7" in engine.requests

    run(tmp_path, job)


def test_killed_container_ends_and_one_that_does_not_run_is_left_alone(tmp_path: Path) -> None:
    async def job(runtime: DockerRuntime, _engine: FakeEngine) -> None:
        await runtime.pull(IMAGE, [])
        await runtime.create(recipe())
        await runtime.start("a")
        await runtime.kill("a")
        assert await runtime.wait("a") == 137
        await runtime.kill("a")
        await runtime.kill("nobody")

    run(tmp_path, job)


def test_error_within_a_pull_that_answered_200_is_an_error(tmp_path: Path) -> None:
    async def job(runtime: DockerRuntime, engine: FakeEngine) -> None:
        engine.pull_error = "toomanyrequests: slow down"
        with pytest.raises(StepFailedError, match=f"Could not pull image {IMAGE}: toomanyrequests"):
            await runtime.pull(IMAGE, [])

    run(tmp_path, job)


def test_login_is_sent_to_its_registry_only(tmp_path: Path) -> None:
    logins = registry_logins(
        {
            "settings": {
                "registryCredentials": {
                    "ours": {
                        "address": "reg.example.io:5000",
                        "username": "u",
                        "password": "secret",
                    },
                    "other": {"address": "other.io", "username": "x", "password": "y"},
                    "broken": 7,
                }
            }
        }
    )
    assert "hush" not in repr(logins[0])

    async def job(runtime: DockerRuntime, engine: FakeEngine) -> None:
        await runtime.pull(IMAGE, logins)
        assert [login["username"] for login in engine.logins] == ["u"]

    run(tmp_path, job)
    assert registry_auth("library/a", logins) == {}
    hub = RegistryLogin(address="docker.io", username="u", password="p")
    assert registry_auth("library/a", [hub]) != {}


def test_leftover_of_an_earlier_run_is_replaced(tmp_path: Path) -> None:
    async def job(runtime: DockerRuntime, engine: FakeEngine) -> None:
        await runtime.pull(IMAGE, [])
        await runtime.create(recipe())
        await runtime.create(recipe())
        assert engine.requests[-3:] == [f"create {NAME}", f"remove {NAME}", f"create {NAME}"]

    run(tmp_path, job)


def test_container_of_somebody_else_is_not_touched(tmp_path: Path) -> None:
    async def job(runtime: DockerRuntime, engine: FakeEngine) -> None:
        await runtime.pull(IMAGE, [])
        await runtime.create(recipe())
        engine.containers[NAME].body["Labels"] = {}
        with pytest.raises(StepFailedError, match="rule: it is not a module's"):
            await runtime.create(recipe())
        assert NAME in engine.containers

    run(tmp_path, job)


@pytest.mark.parametrize(
    ("options", "pulls", "message"),
    [
        ({}, False, f"No such image: {IMAGE}"),
        ({"HostConfig": {"Memory": "much"}}, True, "cannot unmarshal"),
    ],
)
def test_module_that_cannot_be_made_is_a_failed_step(
    tmp_path: Path, options: dict[str, Any], pulls: bool, message: str
) -> None:
    async def job(runtime: DockerRuntime, _engine: FakeEngine) -> None:
        if pulls:
            await runtime.pull(IMAGE, [])
        with pytest.raises(StepFailedError, match=message):
            await runtime.create(recipe(options))

    run(tmp_path, job)


def test_both_streams_are_taken_apart_and_bounded_by_time(tmp_path: Path) -> None:
    async def job(runtime: DockerRuntime, engine: FakeEngine) -> None:
        await runtime.pull(IMAGE, [])
        await runtime.create(recipe())
        engine.containers[NAME].log = [
            (1, "2026-01-01T00:00:00.000000001Z out\n"),
            (2, "2026-01-01T00:00:10.500000000Z <3> err \u00e9\n"),
        ]
        lines = await runtime.logs("a", LogWindow())
        assert [(line.stream, line.text) for line in lines] == [
            ("stdout", "out\n"),
            ("stderr", "<3> err \u00e9\n"),
        ]
        assert lines[1].stamped_s - lines[0].stamped_s == pytest.approx(10.5)
        late = await runtime.logs("a", LogWindow(since_s=lines[0].stamped_s + 1))
        assert [line.stream for line in late] == ["stderr"]
        engine.tty = True
        assert len(await runtime.logs("a", LogWindow())) == 2
        with pytest.raises(StepFailedError, match=r"No such container: station-1\.nobody"):
            await runtime.logs("nobody", LogWindow())

    run(tmp_path, job)


def test_network_of_the_modules_is_made_once(tmp_path: Path) -> None:
    async def job(_runtime: DockerRuntime, engine: FakeEngine) -> None:
        assert "azure-iot-edge" in engine.networks

    settings = DockerSettings(network="azure-iot-edge", gateway="172.17.0.1")
    engine = run(tmp_path, job, settings=settings)
    run(tmp_path, job, settings=settings, engine=engine)


@pytest.mark.parametrize("gateway", [None, "127.0.0.2", "localhost", "::1"])
def test_network_from_which_the_gateway_cannot_be_reached_is_refused(gateway: str | None) -> None:
    with pytest.raises(ValueError, match="rule: containers outside the host's network"):
        DockerSettings(network="bridge", gateway=gateway)


def test_missing_engine_is_named_with_its_socket(tmp_path: Path) -> None:
    async def main() -> None:
        socket = tmp_path / "nobody.sock"
        runtime = DockerRuntime(DockerSettings(socket=socket), device=DEVICE)
        rule = rf"container engine at {socket} does not answer .*rule: a Docker Engine listens"
        with pytest.raises(EngineUnreachableError, match=rule):
            await runtime.open()
        with pytest.raises(EngineUnreachableError, match="is not open"):
            await runtime.has_image(IMAGE)

    asyncio.run(main())


def test_engine_that_is_too_old_is_refused(tmp_path: Path) -> None:
    async def job(_runtime: DockerRuntime, _engine: FakeEngine) -> None:
        raise AssertionError("it was opened")

    with pytest.raises(EngineUnreachableError, match=r"ApiVersion '1.40'; rule: at least 1.41"):
        run(tmp_path, job, engine=FakeEngine(set(), api="1.40"))


@pytest.mark.parametrize(
    ("newest", "oldest", "agreed"),
    [("1.43", "1.24", (1, 43)), ("1.52", "1.44", (1, 44)), ("1.41", "1.12", (1, 41))],
)
def test_version_is_agreed_on(newest: str, oldest: str, agreed: tuple[int, int]) -> None:
    assert agreed_version({"ApiVersion": newest, "MinAPIVersion": oldest}) == agreed


@pytest.mark.azure(
    "edgeAgent",
    "Create options reach the engine as they are; environment, socket and labels are added",
    source="Azure/iotedge edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.Edgelet.Docker/"
    "CombinedEdgeletConfigProvider.cs",
)
def test_body_of_a_container() -> None:
    options = {
        "User": "1000",
        "Env": ["KEPT=1", "B=old"],
        "HostConfig": {"CapDrop": ["ALL"], "Binds": ["v:/v:rw"]},
        "Labels": {"mine": "1", "net.azure-devices.edge.owner": "me"},
    }
    body = create_body(DEVICE, recipe(options, B="new"), DockerSettings())
    assert body["User"] == "1000"
    assert body["HostConfig"] == {
        "CapDrop": ["ALL"],
        "Binds": ["v:/v:rw", "/run/s/a:/var/run/iotedge/workload.sock"],
        "NetworkMode": "host",
    }
    assert body["Env"] == [
        "KEPT=1",
        "B=new",
        "IOTEDGE_WORKLOADURI=unix:///var/run/iotedge/workload.sock",
        "IOTEDGE_GATEWAYHOSTNAME=127.0.0.2",
    ]
    assert body["Labels"] == {
        "mine": "1",
        "net.azure-devices.edge.owner": "Microsoft.Azure.Devices.Edge.Agent",
        "net.azure-devices.edge.original-image": IMAGE,
        "taktgate.device": DEVICE,
    }


def test_network_of_the_options_is_kept_and_another_is_joined_by_name() -> None:
    bridge = DockerSettings(network="azure-iot-edge", gateway="172.17.0.1")
    body = create_body(DEVICE, recipe(), bridge)
    assert body["NetworkingConfig"]["EndpointsConfig"]["azure-iot-edge"] == {"Aliases": ["a"]}
    assert "IOTEDGE_GATEWAYHOSTNAME=172.17.0.1" in body["Env"]
    given = create_body(DEVICE, recipe({"HostConfig": {"NetworkMode": "none"}}), bridge)
    assert given["HostConfig"]["NetworkMode"] == "none"
    assert "NetworkingConfig" not in given


@pytest.mark.parametrize(
    ("image", "query"),
    [
        ("a", {"fromImage": "a", "tag": "latest"}),
        (IMAGE, {"fromImage": "reg.example.io:5000/team/a", "tag": "1"}),
        ("a@sha256:" + "0" * 64, {"fromImage": "a@sha256:" + "0" * 64}),
        ("a:1@sha256:" + "0" * 64, {"fromImage": "a:1@sha256:" + "0" * 64}),
    ],
)
def test_image_is_asked_for_with_one_tag(image: str, query: dict[str, str]) -> None:
    assert pull_query(image) == query


@pytest.mark.parametrize("image", ["", " ", "a b", "../../info", "a?x=1", "a:", "a#b"])
def test_what_is_no_image_is_refused(image: str) -> None:
    with pytest.raises(StepFailedError, match="rule: name"):
        pull_query(image)


FRAMES = st.lists(st.tuples(st.sampled_from((1, 2)), st.binary(max_size=20)), max_size=8)


@given(frames=FRAMES, cuts=st.lists(st.integers(0, 300), max_size=6))
def test_any_cut_of_a_log_stream_gives_the_same_frames(
    frames: list[tuple[int, bytes]], cuts: list[int]
) -> None:
    stream = b"".join(struct.pack(">BxxxL", n, len(text)) + text for n, text in frames)
    reader, found, start = FrameReader(), [], 0
    for end in [*sorted(cuts), len(stream)]:
        found += reader.feed(stream[start:end])
        start = max(start, min(end, len(stream)))
    assert found == [({1: "stdout", 2: "stderr"}[n], text) for n, text in frames]


@pytest.mark.parametrize("header", [struct.pack(">BxxxL", 9, 1), struct.pack(">BxxxL", 1, 2**31)])
def test_what_is_no_log_stream_is_refused(header: bytes) -> None:
    with pytest.raises(StepFailedError, match="log frame"):
        FrameReader().feed(header)


@given(st.lists(st.text().map(lambda text: text.replace("\n", "")), max_size=5))
def test_lines_of_a_frame_end_at_line_feeds_only(texts: list[str]) -> None:
    content = "".join(f"2026-01-01T00:00:00Z {text}\n" for text in texts).encode()
    assert [line.text for line in log_lines("stdout", content)] == [f"{t}\n" for t in texts]


@given(st.binary(max_size=60))
def test_any_bytes_are_lines(content: bytes) -> None:
    assert all(line.stamped_s >= 0 for line in log_lines("stdout", content))


@given(st.integers(0, 60))
def test_pull_error_is_found_however_the_stream_is_cut(cut: int) -> None:
    stream = b'{"status":"a"}\r\n{"errorDetail":{"message":"no space"}}'
    progress = PullProgress()
    with pytest.raises(StepFailedError, match="no space"):
        feed_all(progress, stream[:cut], stream[cut:])


def feed_all(progress: PullProgress, *pieces: bytes) -> None:
    for piece in pieces:
        progress.feed(piece)
    progress.finish()
