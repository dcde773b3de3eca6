import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from taktgate.standin.control.commands import Command, ControlError, Event, flag, number
from taktgate.standin.control.process import StandinProcess, StandinStartError
from taktgate.standin.control.server import ControlServer


def run(scenario: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await scenario()

    asyncio.run(bounded())


def echo(command: Command) -> Event:
    return {"heard": command["do"]}


@asynccontextmanager
async def serving(path: Path) -> AsyncIterator[ControlServer]:
    server = ControlServer(path, obey=echo, greet=lambda: {"event": "ready"})
    await server.start()
    try:
        yield server
    finally:
        await server.close()


def test_every_client_gets_the_events_and_only_the_asker_the_reply(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "control.sock"
        async with serving(path) as server:
            clients = [await asyncio.open_unix_connection(str(path)) for _ in range(2)]
            for reader, _ in clients:
                assert json.loads(await reader.readline()) == {"event": "ready"}
            clients[0][1].write(b'{"do":"knock","id":"a"}\n')
            reply = json.loads(await clients[0][0].readline())
            assert reply == {"event": "reply", "id": "a", "ok": True, "heard": "knock"}
            server.publish({"event": "part"})
            for reader, writer in clients:
                assert json.loads(await reader.readline()) == {"event": "part"}
                writer.close()

    run(scenario)


def test_a_client_that_does_not_read_is_dropped_and_the_others_go_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "control.sock"
        async with serving(path) as server:
            with socket.socket(socket.AF_UNIX) as deaf:
                deaf.connect(str(path))
                reader, writer = await asyncio.open_unix_connection(str(path))
                await reader.readline()
                for number_ in range(300):
                    server.publish({"event": "part", "number": number_, "filler": "x" * 8000})
                    last = json.loads(await reader.readline())
                assert last["number"] == 299
                writer.close()
                assert _unread(deaf) < 300

    run(scenario)


def _unread(client: socket.socket) -> int:
    client.settimeout(1)
    data = b""
    try:
        while part := client.recv(1 << 20):
            data += part
    except ConnectionError:
        pass
    return data.count(b"\n")


def test_a_line_without_end_ends_the_client_only(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "control.sock"
        async with serving(path):
            reader, writer = await asyncio.open_unix_connection(str(path))
            writer.write(b"x" * 200_000)
            await reader.readline()
            assert await reader.read() == b""
            writer.close()
            reader, writer = await asyncio.open_unix_connection(str(path))
            assert json.loads(await reader.readline()) == {"event": "ready"}
            writer.close()

    run(scenario)


def test_a_stale_socket_is_replaced_and_the_path_is_removed_at_the_end(tmp_path: Path) -> None:
    async def scenario() -> None:
        path = tmp_path / "control.sock"
        with socket.socket(socket.AF_UNIX) as stale:
            stale.bind(str(path))
        async with serving(path):
            assert path.is_socket()
        assert not path.exists()

    run(scenario)


@pytest.mark.parametrize("name", ["x" * 120, "missing/control.sock"])
def test_an_impossible_path_is_refused(tmp_path: Path, name: str) -> None:
    async def scenario() -> None:
        with pytest.raises(ControlError, match="--control"):
            async with serving(tmp_path / name):
                pass

    run(scenario)


@pytest.mark.parametrize("value", [None, "3", True, float("nan"), -1, 11])
def test_a_number_out_of_its_range_is_refused(value: object) -> None:
    with pytest.raises(ControlError, match="rate"):
        number({"do": "run", "rate": value}, "rate", at_least=0, at_most=10)


def test_a_truth_value_is_true_or_false() -> None:
    with pytest.raises(ControlError, match="freeze"):
        flag({"do": "fault", "freeze": 1}, "freeze")


def test_a_process_that_ends_at_once_is_told_with_its_words(tmp_path: Path) -> None:
    async def scenario() -> None:
        process = StandinProcess("http.server", ["nonsense"], control=tmp_path / "control.sock")
        with pytest.raises(StandinStartError, match="exit code 2 and said: usage"):
            await process.start()

    run(scenario)


def test_a_process_that_is_never_ready_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sleeper.py").write_text("import time; time.sleep(60)", encoding="ascii")
    monkeypatch.chdir(tmp_path)

    async def scenario() -> None:
        process = StandinProcess("sleeper", [], control=tmp_path / "control.sock")
        with pytest.raises(StandinStartError, match="not ready in"):
            await process.start(timeout_s=0.5)

    run(scenario)


def test_a_process_that_was_never_started_can_be_stopped(tmp_path: Path) -> None:
    async def scenario() -> None:
        assert await StandinProcess("sleeper", [], control=tmp_path / "control.sock").stop() == 0

    run(scenario)
