"""Private keys under a passphrase: what does not open is named, and nothing is changed."""

import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from tests.registry_client import ReferenceClient, UnsyncedFileSystem
from tests.unit.registry.conftest import content_of

from taktgate.registry.commands.overview import overview
from taktgate.registry.errors import KeyFolderError, KeyMissingError, PassphraseError
from taktgate.registry.signed.key_files import passphrase_in, signer_in
from taktgate.registry.signed.publishing import Publisher
from taktgate.registry.signed.rotation import renew, rotate

OURS, THEIRS = b"correct horse", b"battery staple"


class Safe:
    """A registry whose keys are under the passphrase OURS."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.keys = root / "keys"
        self.publisher(OURS).init()

    def publisher(self, *passphrases: bytes, keys: Sequence[Path] = ()) -> Publisher:
        return Publisher(
            self.root / "registry",
            keys=[self.keys, *keys],
            passphrases=passphrases,
            files=UnsyncedFileSystem(),
        )

    def accepts(self) -> None:
        ReferenceClient(self.root / "registry", self.root / "trust").refresh()


@pytest.fixture
def safe(tmp_path: Path) -> Safe:
    return Safe(tmp_path)


def pem(name: str) -> str:
    return f"{name}.key.pem"


def open_for_all(file: Path) -> None:
    file.write_bytes(signer_in(file, [OURS]).private_bytes)


def test_every_key_opens_by_the_passphrase_and_by_nothing_else(safe: Safe) -> None:
    files = sorted(safe.keys.iterdir())
    assert len(files) == 7
    assert stat.S_IMODE(safe.keys.stat().st_mode) == 0o700
    for file in files:
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        load_pem_private_key(file.read_bytes(), password=OURS)
        with pytest.raises(TypeError):
            load_pem_private_key(file.read_bytes(), password=None)
        # Once in 200 times a wrong one leaves a padding that looks right, and then no key.
        with pytest.raises(ValueError, match=r"password|deserialize"):
            load_pem_private_key(file.read_bytes(), password=THEIRS)


def test_what_signs_reads_the_same_passphrase_and_new_keys_get_it(safe: Safe) -> None:
    its = safe.publisher(OURS)
    assert rotate(its.files, "timestamp").added == ("timestamp-2",)
    assert renew(its.files, within_days=1000).missing == ()
    load_pem_private_key((safe.keys / pem("timestamp-2")).read_bytes(), password=OURS)
    safe.accepts()


@pytest.mark.parametrize(
    ("passphrases", "words"),
    [((), "is encrypted; --passphrase-file must open it"), ((THEIRS, b"x"), "2 tried")],
    ids=["missing", "wrong"],
)
def test_a_key_that_does_not_open_is_named_and_nothing_changes(
    safe: Safe, passphrases: tuple[bytes, ...], words: str
) -> None:
    before, files = content_of(safe.root), safe.publisher(*passphrases).files
    for change, key in (
        (lambda: renew(files, within_days=1000), "root-1"),
        (lambda: renew(files, ["timestamp"], within_days=1000), "timestamp-1"),
        (lambda: rotate(files, "root"), "root-1"),
        (lambda: rotate(files, "snapshot"), "timestamp-1"),
    ):
        with pytest.raises(PassphraseError, match=words) as refusal:
            change()
        assert str(refusal.value).startswith(str(safe.keys / pem(key)))
        assert content_of(safe.root) == before


def test_what_is_due_is_not_signed_where_it_could_not_be_published(safe: Safe) -> None:
    """The root keys open, those of the signing machine do not."""
    stick = safe.root / "stick"
    stick.mkdir()
    for number in (1, 2, 3):
        (safe.keys / pem(f"root-{number}")).rename(stick / pem(f"root-{number}"))
        open_for_all(stick / pem(f"root-{number}"))
    before = content_of(safe.root)
    with pytest.raises(PassphraseError, match="timestamp-1"):
        renew(safe.publisher(keys=[stick]).files, ["root"], within_days=1000)
    assert content_of(safe.root) == before


def test_an_init_that_was_cut_off_does_not_mix_passphrases(safe: Safe) -> None:
    (safe.root / "registry/metadata/timestamp.json").unlink()
    before = content_of(safe.root)
    with pytest.raises(PassphraseError):
        safe.publisher(THEIRS).init()
    assert content_of(safe.root) == before
    safe.publisher(OURS).init()
    safe.accepts()


def test_each_person_may_have_a_passphrase_of_their_own(tmp_path: Path) -> None:
    registry, sticks = tmp_path / "registry", [tmp_path / "new", tmp_path / "stick"]
    Publisher(registry, keys=sticks[1], passphrases=[THEIRS]).init()
    rotate(Publisher(registry, keys=sticks, passphrases=[OURS, THEIRS]).files, "timestamp")
    load_pem_private_key((sticks[0] / pem("timestamp-2")).read_bytes(), password=OURS)


def test_a_locked_key_that_is_not_needed_is_in_nobodys_way(safe: Safe) -> None:
    for name in ("snapshot-1", "timestamp-1"):
        open_for_all(safe.keys / pem(name))
    done = renew(safe.publisher().files, ["snapshot", "timestamp"], within_days=1000)
    assert done.renewed == ("snapshot", "timestamp")


def test_a_list_needs_no_passphrase_and_shows_the_keys_as_here(safe: Safe) -> None:
    (safe.keys / pem("targets-1")).unlink()
    at_hand = {its.role: its.at_hand for its in overview(safe.publisher().files).roles}
    assert at_hand["root"] == ("root-1", "root-2", "root-3")
    assert at_hand["targets"] == ()
    with pytest.raises(KeyMissingError, match="targets-1"):
        rotate(safe.publisher(OURS).files, "sources")


@pytest.mark.parametrize("content", [b"", b"\nsecond line", b"x" * 1024])
def test_a_file_without_a_passphrase_is_named(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "passphrase"
    file.write_bytes(content)
    with pytest.raises(PassphraseError, match=f"{file}: its first line must be"):
        passphrase_in(file)


def test_the_line_end_is_no_part_of_a_passphrase(tmp_path: Path) -> None:
    file = tmp_path / "passphrase"
    for content in (OURS, OURS + b"\n", OURS + b"\r\nsecond line\n"):
        file.write_bytes(content)
        assert passphrase_in(file) == OURS


def test_a_file_that_holds_no_key_is_no_matter_of_a_passphrase(safe: Safe) -> None:
    (safe.keys / pem("root-1")).write_bytes(b"-----BEGIN PRIVATE KEY-----\nx\n")
    with pytest.raises(KeyFolderError, match="root-1"):
        renew(safe.publisher(OURS).files, within_days=1000)
