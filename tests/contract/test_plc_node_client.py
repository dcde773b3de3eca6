"""A PLC client for Node.js judges the stand-in controller: another code base, the same wire."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from taktgate.plc.contract.tags import COMMAND, TAGS
from taktgate.standin.azure.loopback import LoopbackNetwork
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.server import DEFAULT_PORT
from taktgate.standin.logix.thread import LogixThread

JUDGES = Path(__file__).parents[1] / "judges/node"
TIMEOUT_S = 60
PERMISSION_DENIED = 0x0F
PATH_SEGMENT_ERROR = 0x04

pytestmark = pytest.mark.skipif(
    shutil.which("node") is None or not (JUDGES / "node_modules/st-ethernet-ip").is_dir(),
    reason="no Node.js, or scripts/bootstrap found no npm to install the judges",
)


@pytest.fixture(scope="module")
def memory() -> TagMemory:
    memory = TagMemory(symbols_of(TAGS))
    memory.store("VIS01_Cmd", "TriggerId", 99)
    memory.store("VIS01_Cmd", "Enable", True)
    memory.store("VIS01_Sts", "Heartbeat", 77)
    return memory


@pytest.fixture(scope="module")
def found(memory: TagMemory, network: LoopbackNetwork) -> Any:
    """What the client found; its port is fixed, so the controller gets an address of its own."""
    address = network.address(2)
    with LogixThread(memory, address=(address, DEFAULT_PORT)):
        judged = subprocess.run(
            ["node", str(JUDGES / "logix.cjs")],
            env={"PATH": os.environ["PATH"], "ADDRESS": address},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    assert judged.returncode == 0, judged.stderr
    return json.loads(judged.stdout)


def test_it_lists_our_tags_with_their_types(found: Any) -> None:
    listed = {tag["name"]: (tag["type"], tag["dimensions"]) for tag in found["tags"]}
    assert listed == {tag.name: (tag.udt.name, int(tag.dimension > 0)) for tag in TAGS}


def test_it_reads_the_whole_command(found: Any) -> None:
    visible = {name: value for name, value in found["command"].items() if "ZZZZ" not in name}
    assert set(visible) == {member.name for member in COMMAND.members}
    assert (visible["TriggerId"], visible["Enable"], visible["Reset"]) == (99, True, False)


def test_it_writes_the_ring_of_results_as_a_whole(found: Any, memory: TagMemory) -> None:
    assert found["slots"] == 8
    assert memory.load("VIS01_Result", "TriggerId", 3) == 4715
    assert memory.load("VIS01_Result", "Score", 3) == 0.125
    assert memory.load("VIS01_Result", "Pass", 3) is True
    assert memory.load("VIS01_Result", "Reject", 3) is False


def test_it_reads_and_writes_one_member(found: Any, memory: TagMemory) -> None:
    assert found["heartbeat"] == 77
    assert memory.load("VIS01_Sts", "Heartbeat") == 78


def test_it_is_told_why_it_may_not_write_the_command(found: Any, memory: TagMemory) -> None:
    assert json.loads(found["refused"]["command"])["generalStatusCode"] == PERMISSION_DENIED
    assert memory.load("VIS01_Cmd", "TriggerId") == 99


def test_it_is_told_that_a_tag_is_missing(found: Any) -> None:
    assert json.loads(found["refused"]["missing"])["generalStatusCode"] == PATH_SEGMENT_ERROR


def test_it_knows_the_controller(found: Any) -> None:
    assert found["properties"]["name"] == "Taktgate stand-in Logix"
    assert found["properties"]["version"] == "33.11"
