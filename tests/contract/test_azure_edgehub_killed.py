"""A process with edgeHub in it is killed: what was acknowledged is there afterwards."""

import asyncio
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.standin.edgehub_bench import FakeHub, Peer, edgehub

from taktgate.standin.azure import simulated_time
from taktgate.standin.azure.mqtt import codec

ROOT = Path(__file__).parents[2]
MESSAGES = 20
ROUTES = {"r": 'FROM /messages/modules/a/* INTO BrokeredEndpoint("/modules/b/inputs/in")'}


def store_and_say_so(file: Path) -> None:
    """Send messages to a module that is away; say which were acknowledged; wait to be killed."""

    async def main() -> None:
        edge = edgehub(FakeHub(edgehub={"schemaVersion": "1.2", "routes": ROUTES}), store_file=file)
        await edge.start()
        sender = Peer(edge, "a")
        await asyncio.sleep(0.1)
        for number in range(MESSAGES):
            sender.publish(str(number), packet_id=number + 1)
        await asyncio.sleep(1)
        acknowledged = [each.packet_id - 1 for each in sender.of_kind(codec.PubAck)]
        sys.stdout.write(f"{acknowledged}\n")
        sys.stdout.flush()
        sys.stdin.read()

    simulated_time.run(main())


@pytest.mark.azure(
    "edgeHub",
    "Acknowledged messages survive kill -9 and come in order, once",
    source="learn.microsoft.com/azure/iot-edge/offline-capabilities",
)
def test_acknowledged_messages_survive_sigkill(tmp_path: Path) -> None:
    file = tmp_path / "edgehub.db"
    program = [sys.executable, "-m", "tests.contract.test_azure_edgehub_killed", str(file)]
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        acknowledged = process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert acknowledged == f"{list(range(MESSAGES))}\n"
    assert process.returncode == -signal.SIGKILL

    async def main() -> list[str]:
        edge = edgehub(FakeHub(edgehub={"schemaVersion": "1.2", "routes": ROUTES}), store_file=file)
        await edge.start()
        receiver = Peer(edge, "b")
        receiver.subscribe()
        await asyncio.sleep(10)
        await edge.stop()
        return receiver.bodies

    assert simulated_time.run(main()) == list(map(str, range(MESSAGES)))


if __name__ == "__main__":
    store_and_say_so(Path(sys.argv[1]))
