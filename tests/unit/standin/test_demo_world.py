"""Where a demo's world may lie: the unix sockets of its stations have to fit below it."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Final

import pytest

from taktgate.cli import main
from taktgate.gates.deployment import create_options_of, modules_of
from taktgate.inspection import control
from taktgate.plc.writer import outlets
from taktgate.standin.azure.edgeagent.mounts import plan_mounts
from taktgate.standin.demo.samples import REPOSITORY_ROOT
from taktgate.standin.demo.world import DEEPEST_SOCKET, LONGEST_SOCKET_BYTES, longest_folder_bytes

SOCKETS: Final = {
    ("inference", "TAKTGATE_PRIVATE_DIR"): (
        *(control.AGENT_SOCKET, control.CONTROL_SOCKET, control.EVIDENCE_SOCKET),
    ),
    ("inference", "TAKTGATE_LANE_DIR"): (control.JUDGE_SOCKET,),
    ("plc_writer", "TAKTGATE_PRIVATE_DIR"): (outlets.AGENT_SOCKET,),
    ("plc_writer", "TAKTGATE_LANE_DIR"): (outlets.WRITER_SOCKET,),
}
"""By module, and the variable that names their folder."""


def sockets(modules: Mapping[str, Any]) -> Iterator[str]:
    """Yield the paths of all sockets of *modules*, relative to the device's folder."""
    for (name, variable), files in SOCKETS.items():
        options = create_options_of(modules[name])
        mounts = plan_mounts(name, options, directory=Path("/d"), volumes={})
        folder = PurePosixPath(mounts.to_host(modules[name]["env"][variable]["value"]))
        yield from (str((folder / file).relative_to("/d")) for file in files)


def test_the_deepest_socket_is_that_of_the_deployment() -> None:
    template = (REPOSITORY_ROOT / "deployment.template.json").read_text(encoding="utf-8")
    assert max(sockets(modules_of(json.loads(template))), key=len) == DEEPEST_SOCKET


def test_a_folder_may_be_as_long_as_the_longest_socket_of_its_stations_lets_it() -> None:
    longest = longest_folder_bytes(["station-1", "station-canary"])
    assert longest + len(f"/station-canary/{DEEPEST_SOCKET}") == LONGEST_SOCKET_BYTES


@pytest.mark.parametrize("letter", ["a", "ä"])
def test_a_temporary_folder_too_long_for_the_sockets_is_refused(
    letter: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    limit = longest_folder_bytes(["station-1"])
    folder = tmp_path / (letter * limit)
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    assert main(["demo", "--offline", "--parts", "3"]) == 2
    said = capsys.readouterr().err
    assert f"(TMPDIR) {folder}/" in said
    assert f"{len(bytes(folder)) + len('/taktgate-12345678')} bytes" in said
    assert f"at most {limit} " in said
    assert list(folder.iterdir()) == [], "nothing is left in it"


def test_a_folder_to_keep_too_long_for_the_sockets_is_refused_by_its_bytes(
    capsys: pytest.CaptureFixture[str],
) -> None:
    limit = longest_folder_bytes(["station-1"])
    folder = Path("/", "ä" * (limit // 2 + 1))
    assert len(str(folder)) < limit < len(bytes(folder))
    assert main(["demo", "--offline", "--parts", "3", "--keep", str(folder)]) == 2
    said = capsys.readouterr().err
    assert f"--keep {folder}: the path has {len(bytes(folder))} bytes" in said
    assert f"at most {limit} " in said
