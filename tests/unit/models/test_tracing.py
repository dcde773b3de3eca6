"""A version leads back to its first source model, by verified metadata, or says where not."""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.integration.tiny_bundles import Tiny
from tests.unit.models.conftest import Desk

from taktgate.bundle import layout
from taktgate.bundle.archive import unpack
from taktgate.bundle.manifest import Manifest, digest_of
from taktgate.bundle.source import SourceModel, TrainingData
from taktgate.cli import main
from taktgate.registry.signed.publishing import Publisher

Said = Callable[[], tuple[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """A registry of its own for one test."""

    desk: Desk
    path: Path
    publisher: Publisher

    def add(self, tiny: Tiny) -> None:
        archive = self.desk.bundle(tiny)
        unpack(archive, self.path.parent / f"unpacked-{tiny.version}")
        data = (self.path.parent / f"unpacked-{tiny.version}" / layout.MANIFEST).read_bytes()
        self.publisher.add_bundle(archive, Manifest.parse(data), digest_of(data))

    def add_source(self, version: str, parent: str | None, model: bytes) -> None:
        source = SourceModel(
            name="tiny",
            version=version,
            digest=digest_of(model),
            licence="MIT",
            opset=17,
            ir_version=8,
            training_data=TrainingData(id="grey", digest=None),
            commit="0123abc",
            parent=parent,
            approver="A. Engineer",
            golden_claims=None,
        )
        self.publisher.add_source(source, model)

    def trace(self, said: Said, *words: str) -> dict[str, Any]:
        said()
        code = main(["model", "trace", *words, "--registry", str(self.path), "--json"])
        document: dict[str, Any] = json.loads(said()[0])
        return document | {"code": code}


@pytest.fixture
def shelf(desk: Desk) -> Shelf:
    path = desk.folder / "registry"
    publisher = Publisher(path, keys=desk.folder / "keys")
    (desk.folder / "root.json").write_bytes(publisher.init())
    its = Shelf(desk=desk, path=path, publisher=publisher)
    its.add(Tiny())
    return its


def test_the_chain_goes_back_to_the_first_model(shelf: Shelf, said: Said) -> None:
    shelf.add_source("0.1.0", None, b"the first")
    shelf.add_source("0.9.0", "0.1.0", shelf.desk.model.read_bytes())
    found = shelf.trace(said, "1.0.0", "--trusted-root", str(shelf.desk.folder / "root.json"))
    (artifact,) = found["artifacts"]
    assert (found["code"], found["whole"], found["trusted_root"]) == (0, True, "given")
    assert artifact["facts"]["device_class"] == "cpu"
    assert [its["source"]["version"] for its in artifact["ancestry"]] == ["0.9.0", "0.1.0"]


def test_a_source_that_is_not_in_the_registry_is_said(shelf: Shelf, said: Said) -> None:
    found = shelf.trace(said, "tiny/1.0.0")
    assert (found["code"], found["whole"]) == (1, False)
    assert "not traceable" in found["artifacts"][0]["ancestry"][0]["hole"]


def test_a_parent_that_is_not_in_the_registry_is_said(shelf: Shelf, said: Said) -> None:
    shelf.add_source("0.9.0", "0.1.0", shelf.desk.model.read_bytes())
    found = shelf.trace(said, "1.0.0")
    assert found["code"] == 1
    assert found["artifacts"][0]["ancestry"][1]["name"] == "tiny 0.1.0"


def test_an_ancestor_of_itself_ends_the_way(shelf: Shelf, said: Said) -> None:
    shelf.add_source("0.1.0", "0.9.0", b"the first")
    shelf.add_source("0.9.0", "0.1.0", shelf.desk.model.read_bytes())
    found = shelf.trace(said, "1.0.0")
    assert found["artifacts"][0]["ancestry"][-1]["hole"] == "not traceable: it is its own ancestor"


def test_a_changed_source_file_is_not_shown(shelf: Shelf, said: Said) -> None:
    shelf.add_source("0.9.0", None, shelf.desk.model.read_bytes())
    (file,) = shelf.path.glob("targets/sources/tiny/0.9.0/*.source.json")
    file.write_bytes(file.read_bytes().replace(b"A. Engineer", b"Z. Engineer"))
    found = shelf.trace(said, "1.0.0")
    assert (found["code"], found["reason"]) == (1, "TRACE")


def test_a_registry_of_somebody_else_is_not_trusted(shelf: Shelf, said: Said) -> None:
    root = Publisher(shelf.desk.folder / "other", keys=shelf.desk.folder / "other-keys").init()
    (shelf.desk.folder / "other.json").write_bytes(root)
    found = shelf.trace(said, "1.0.0", "--trusted-root", str(shelf.desk.folder / "other.json"))
    assert (found["code"], found["reason"]) == (1, "TRACE")
    assert "cannot be trusted" in found["message"]


def test_without_a_root_of_ones_own_that_is_said(shelf: Shelf, said: Said) -> None:
    assert shelf.trace(said, "1.0.0")["trusted_root"] == "the registry's own"


def test_an_unknown_version_and_a_url_without_root_are_refused(shelf: Shelf, said: Said) -> None:
    assert "no such bundle" in shelf.trace(said, "9.9.9")["message"]
    assert main(["model", "trace", "1.0.0", "--registry", "https://127.0.0.1:1/r"]) == 1
    assert "needs --trusted-root" in said()[1]


def test_a_registry_that_does_not_come_is_not_said_to_be_false(shelf: Shelf, said: Said) -> None:
    root = str(shelf.path / "metadata/1.root.json")
    place = ["model", "trace", "1.0.0", "--trusted-root", root, "--registry"]
    assert main([*place, "http://127.0.0.1:1/r"]) == 1
    assert re.search(r"/r: cannot be read: \w", said()[1])
    assert main([*place, "http://127.0.0.1:1/r?sig=c2VjcmV0"]) == 1
    words = said()[1]
    assert "with a query" in words
    assert "c2VjcmV0" not in words
