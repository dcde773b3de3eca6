"""`taktgate registry`, as a publisher types it."""

import json
import os
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.registry_client import NAME, ReferenceClient
from tests.unit.registry.conftest import Shop, content_of

from taktgate.cli import main
from taktgate.registry.commands.cli import REGISTRY_VARIABLE
from taktgate.registry.commands.places import KEYS_VARIABLE, PASSPHRASES_VARIABLE
from taktgate.registry.signed.publishing import Publisher
from taktgate.registry.signed.repository import utc_now

CLASS = ["--class", "cpu"]
MATRIX = Path(__file__).parents[2] / "config/device_compatibility_matrix.yaml"


class Desk:
    """A publisher's shell: the environment names the folders."""

    def __init__(self, root: Path, shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
        self.root = root
        self.shop = shop
        self._capsys = capsys

    def run(self, *arguments: str | Path, code: int = 0) -> tuple[str, str]:
        self._capsys.readouterr()
        assert main(["registry", *map(str, arguments)]) == code
        said = self._capsys.readouterr()
        return said.out, said.err

    def json(self, *arguments: str | Path) -> Any:
        return json.loads(self.run(*arguments, "--json")[0])

    def add(self, version: str) -> Any:
        return self.json("add", self.shop.bundle(version), *self.checks)

    @property
    def checks(self) -> tuple[str | Path, ...]:
        """What a bundle is held against."""
        return ("--trusted-keys", self.shop.trusted, "--matrix", MATRIX)


@pytest.fixture
def desk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Desk:
    (tmp_path / "signing").mkdir()
    monkeypatch.setenv(REGISTRY_VARIABLE, str(tmp_path / "registry"))
    monkeypatch.setenv(KEYS_VARIABLE, str(tmp_path / "keys"))
    return Desk(tmp_path, Shop(tmp_path / "signing"), capsys)


def test_a_model_goes_from_a_file_to_the_stations_and_back(desk: Desk) -> None:
    begun = desk.json("init")
    assert set(begun["keys"]["root"]) == {"root-1", "root-2", "root-3"}
    assert Path(begun["firstRoot"]).is_file()
    assert desk.add("1.0.0")["bundles"][0]["state"] == "registered"
    report = desk.root / "hil.json"
    report.write_text('{"passed": true}')
    named = (NAME, "1.0.0", *CLASS)
    desk.run("promote", *named, "--to", "ci_passed")
    desk.run("promote", *named, "--to", "hil_passed", "--hil-report", report)
    assert desk.json("promote", *named, "--to", "released")["hil"] == "passed"
    client = ReferenceClient(desk.root / "registry", desk.root / "trust")
    assert client.state_of("1.0.0") == "released"
    desk.run("revoke", *named, "--reason", "misses pores")
    assert client.state_of("1.0.0") == "revoked"


@pytest.mark.parametrize(
    ("matrix", "words"),
    [
        (MATRIX, "device_class: must be one of cpu, cpu-x86-64, jetson"),
        (Path("missing.yaml"), "missing.yaml cannot be read"),
    ],
    ids=["no row", "no matrix"],
)
def test_a_class_that_no_station_has_gets_no_role(desk: Desk, matrix: Path, words: str) -> None:
    desk.run("init")
    before = content_of(desk.root / "registry")
    bundle = desk.shop.bundle("1.0.0", device_class="cpu-x68")
    _, err = desk.run("add", bundle, *desk.checks[:2], "--matrix", matrix, code=1)
    assert words in err
    assert content_of(desk.root / "registry") == before


def test_keys_under_a_passphrase_sign_as_others_do(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    right, wrong = desk.root / "right", desk.root / "wrong"
    right.write_text("correct horse\n")
    wrong.write_text("battery staple\n")
    desk.run("init", "--passphrase-file", right)
    before = content_of(desk.root / "registry")
    _, err = desk.run("renew", "--within", "30", "--passphrase-file", wrong, code=1)
    assert re.search(r"keys/timestamp-1\.key\.pem: is encrypted, and must open by", err)
    _, err = desk.run("rotate-key", "sources", code=1)
    assert "keys/snapshot-1.key.pem: is encrypted" in err
    assert content_of(desk.root / "registry") == before
    assert "timestamp-1*" not in desk.run("list")[0]
    monkeypatch.setenv(PASSPHRASES_VARIABLE, f"{wrong}{os.pathsep}{right}")
    assert desk.add("1.0.0")["bundles"][0]["state"] == "registered"
    ReferenceClient(desk.root / "registry", desk.root / "trust").refresh()


def test_the_list_shows_what_is_there_and_when_it_expires(desk: Desk) -> None:
    desk.run("init", "--days-valid-timestamp", "2")
    desk.add("1.0.0")
    (desk.root / "keys/root-1.key.pem").unlink()
    out, _ = desk.run("list")
    assert NAME in out
    assert "registered" in out
    assert "root-1*" in out
    assert "soon" in out
    found = desk.json("list")
    (bundle,) = found["bundles"]
    assert bundle["size_bytes"] == (desk.shop.root / "1.0.0.bundle").stat().st_size
    root = next(its for its in found["roles"] if its["role"] == "root")
    assert (root["threshold"], root["atHand"]) == (2, ["root-2", "root-3"])


def test_a_floor_lists_what_went_below(desk: Desk) -> None:
    desk.run("init")
    for version in ("1.0.0", "2.0.0"):
        desk.add(version)
        desk.run("promote", NAME, version, *CLASS, "--to", "ci_passed")
        desk.run("promote", NAME, version, *CLASS, "--to", "released", "--waive-hil", "no rig")
    below = desk.json("floor", NAME, "2.0.0", *CLASS)["below"]
    assert [(its["version"], its["state"]) for its in below] == [("1.0.0", "below_floor")]


def test_keys_are_replaced_and_metadata_renewed(desk: Desk) -> None:
    desk.run("init")
    assert desk.json("rotate-key", "root", "--lost", "root-2")["removed"] == ["root-2"]
    assert list(desk.json("rotate-key", "timestamp")["added"]) == ["timestamp-2"]
    assert set(desk.json("renew", "timestamp", "--within", "30")["renewed"]) == {"timestamp"}
    ReferenceClient(desk.root / "registry", desk.root / "trust").refresh()


def test_a_role_that_is_due_without_its_key_is_a_failure_and_the_rest_is_done(desk: Desk) -> None:
    desk.run("init")
    (desk.root / "keys/targets-1.key.pem").unlink()
    out, _ = desk.run("renew", "--within", "400", code=1)
    assert "DUE     targets" in out
    assert "renewed timestamp" in out


def test_a_stick_is_written_from_the_command_line(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk.run("init")
    desk.add("1.0.0")
    desk.run("promote", NAME, "1.0.0", *CLASS, "--to", "ci_passed")
    desk.run("promote", NAME, "1.0.0", *CLASS, "--to", "released", "--waive-hil", "no rig")
    stick = desk.root / "stick"
    stick.mkdir()
    monkeypatch.chdir(desk.root)
    done = desk.json("export", "--usb", "stick", "--days-valid", "90")
    assert done["repository"] == stick.as_uri()
    assert done["bundles"] == [f"{NAME} 1.0.0 for cpu"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["add", "missing.bundle"], 1, "missing.bundle"),
        (["add"], 2, "BUNDLE"),
        (["add", "--source", "source.json"], 2, "both or neither"),
        (["promote", NAME, "1.0.0", *CLASS, "--to", "ci_passed"], 1, "no such bundle"),
        (["promote", NAME, "1", *CLASS, "--to", "released", "--ci-report", "x"], 2, "ci_passed"),
        (["rotate-key", "timestamp", "--lost", "timestamp-1"], 2, "only root"),
        (["rotate-key", "class.gpu"], 1, "no such role"),
        (["renew", "mirror"], 1, "no such role"),
        (["renew", "--within", "nan"], 2, "--within"),
        (["renew", "--within", "inf"], 2, "--within"),
        (["serve", "--port", "99999"], 2, "--port"),
        (["init"], 1, "holds a registry already"),
        (["push"], 2, "--blob"),
        (["push", "--blob", "nonsense"], 1, "URL of a container"),
        (["export", "--usb", "/nowhere", "--days-valid", "0"], 2, "--days-valid"),
    ],
    ids=lambda its: " ".join(its) if isinstance(its, list) else "",
)
def test_what_cannot_be_done_is_said_in_one_line(
    desk: Desk, arguments: list[str], code: int, words: str
) -> None:
    desk.run("init")
    if arguments[:2] == ["add", "missing.bundle"]:
        arguments = [*arguments, *map(str, desk.checks)]
    out, err = desk.run(*arguments, code=code)
    assert out == ""
    said = [line for line in err.splitlines() if not line.startswith("verifying")]
    assert len(said) == 1
    assert words in said[0]


def test_without_a_registry_the_way_to_one_is_shown(desk: Desk) -> None:
    for verb in (
        ["list"],
        ["renew"],
        ["prune"],
        ["promote", NAME, "1", *CLASS, "--to", "ci_passed"],
    ):
        assert "no registry" in desk.run(*verb, code=1)[1]


def test_help_has_an_example(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    for verb in ([], ["push"], ["promote"], ["prune"]):
        with pytest.raises(SystemExit) as end:
            main(["registry", *verb, "--help"])
        assert end.value.code == 0
        assert "example" in capsys.readouterr().out


def test_old_metadata_is_shown_first_and_then_removed(desk: Desk) -> None:
    its = Publisher(desk.root / "registry", keys=desk.root / "keys")
    its.files.clock = lambda: utc_now() - timedelta(days=40)
    its.init()
    desk.run("renew")
    shown = desk.json("prune", "--dry-run")
    assert (shown["removed"], shown["dryRun"]) == (["1.snapshot.json"], True)
    out, _ = desk.run("prune")
    assert out == f"1.snapshot.json\n1 files of metadata removed, {shown['kept']} stay\n"
    assert desk.json("prune")["removed"] == []


@contextmanager
def full_disk(limit_bytes: int) -> Iterator[None]:
    """Let no file become longer than *limit_bytes*."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_is_said_with_the_file_and_nothing_changes(desk: Desk) -> None:
    desk.run("init")
    desk.add("1.0.0")
    desk.run("promote", NAME, "1.0.0", *CLASS, "--to", "ci_passed")
    desk.run("promote", NAME, "1.0.0", *CLASS, "--to", "released", "--waive-hil", "no rig")
    stick = desk.root / "stick"
    stick.mkdir()
    before = content_of(desk.root)
    for arguments in (
        ["init", "--registry", desk.root / "other", "--keys", desk.root / "other-keys"],
        ["revoke", NAME, "1.0.0", *CLASS, "--reason", "misses pores"],
        ["renew", "--within", "1000"],
        ["rotate-key", "timestamp"],
        ["export", "--usb", stick],
        ["export", "--usb", stick, "--days-valid", "20"],
    ):
        with full_disk(limit_bytes=50):
            _, err = desk.run(*arguments, code=1)
        said = err.splitlines()[-1]
        assert re.search(rf"{desk.root}/\S+: cannot be written: File too large", said), arguments
        assert content_of(desk.root) == before, arguments
