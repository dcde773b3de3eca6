"""What this station trusts of the registry, on its slots volume.

    root_history/N.root.json   every root from the first one on
    timestamp.json, snapshot.json, targets.json, <delegated role>.json
    clock.json                 this machine's clock when a new timestamp was last accepted

python-tuf keeps its files without fsync, so it works on a copy, and what it accepted is published
from there, in the order of its acceptance (TUF specification 5.3.8, 5.4.5, 5.5.7, 5.6.6): roots by
version, timestamp, snapshot, targets, delegated roles. Each file is verified by those before it
when it is used, and each one alone can only raise what is asked of the next registry. So a power
cut between any two of them does no harm:

- new roots, old rest: metadata whose keys the roots took away does not verify any more, as it must
  be after a rotation (5.3.11); the rest is as good as before.
- new timestamp, old snapshot: python-tuf takes the old one as an intermediate, against which a new
  one is checked for rollback, and fetches the one that the timestamp names.
- new snapshot, old targets: they are not what the snapshot names, and are fetched.

Files can rot as well. Timestamp and snapshot guard each other: a timestamp pins the snapshot's
version, a snapshot the version of each role, so an old state of the registry that changes any
target is refused as long as one of the two is sound. A second copy would guard no more than that.
A lost timestamp is logged, and reported until a new one is accepted.
"""

import json
import logging
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, unquote

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, Signed, Snapshot, TargetFile, Targets, Timestamp

from taktgate.contracts.twins import RegistryTrust
from taktgate.staging.errors import DistrustError
from taktgate.staging.registry.reasons import Distrust
from taktgate.staging.registry.recollection import recalled
from taktgate.staging.registry.roots import RootChain, chain
from taktgate.staging.slots.disk import Disk

log = logging.getLogger(__name__)

ROOT_HISTORY: Final = "root_history"
CLOCK_FILE: Final = "clock.json"
_ROOT_LINK: Final = "root.json"
_ROOT_FILE: Final = re.compile(r"([1-9]\d{0,9})\.root\.json")
_FIRST_FILES: Final = tuple(
    f"{role}.json" for role in (Timestamp.type, Snapshot.type, Targets.type)
)
_SLACK: Final = timedelta(minutes=5)
"""So far a clock may step back when it is set right."""


class TrustFolder:
    """The trusted metadata in the folder *path*."""

    def __init__(
        self, path: Path, *, first_root: Path, disk: Disk, now: Callable[[], datetime]
    ) -> None:
        """Begin with the root in the file *first_root*, which was put there by hand."""
        self._path = path
        self._first_root = first_root
        self._disk = disk
        self._now = now
        self._known: _Known | None = None

    def lay_out(self, work: Path) -> RootChain:
        """Copy what is sound into the empty folder *work*; return the roots.

        Raises:
            DistrustError: there is no first root.
        """
        self._known = None
        roots = self._roots()
        for file in _json_in(self._path):
            content = _read(file)
            if content is None or (file.name in _FIRST_FILES[:2] and not _fits(content, roots)):
                log.warning("trusted metadata is damaged", extra={"file": file.name})
                continue
            (work / file.name).write_bytes(content)
        return roots

    def keep(self, work: Path, *, only_roots: bool = False) -> None:
        """Take over, durably, what was accepted in *work* and is new.

        Raises:
            OSError: the disk refused; what is kept by then can be used.
        """
        self._known = None
        self._make_folders()
        for version, file in sorted(_numbered(work / ROOT_HISTORY).items()):
            self._publish(f"{ROOT_HISTORY}/{version}.root.json", file.read_bytes())
        if only_roots:
            return
        others = sorted({file.name for file in _json_in(work)} - set(_FIRST_FILES))
        for name in (*_FIRST_FILES, *others):
            content = _read(work / name)
            if content is None:
                continue
            is_new = self._publish(name, content)
            if is_new and name == _FIRST_FILES[0]:
                self._note_clock()

    def drop_stale(self, snapshot: Snapshot) -> None:
        """Remove the files of roles that *snapshot* does not know, and what a cut has left behind.

        Raises:
            OSError: the disk refused.
        """
        roots = self._roots()
        roles = {quote(name.removesuffix(".json"), "") + ".json" for name in snapshot.meta}
        wanted = {ROOT_HISTORY, CLOCK_FILE, *_FIRST_FILES, *roles}
        for entry in sorted(self._path.iterdir()):
            if entry.name not in wanted:
                self._disk.remove(entry)
        chained = {f"{root.version}.root.json" for root in roots.roots}
        for entry in sorted((self._path / ROOT_HISTORY).iterdir()):
            if entry.name not in chained:
                self._disk.remove(entry)

    def recall(self, path: str, *, role: str) -> TargetFile | None:
        """Return what is kept of the target *path*, for which *role* speaks; None if nothing."""
        try:
            root = self._roots().roots[-1]
        except DistrustError:
            return None
        return recalled(root, self._path, path, role=role)

    def trust(self) -> RegistryTrust | None:
        """Return what is trusted now, None before the first contact. Reads the disk after a change.

        A clock that runs behind cannot tell that metadata has expired. That is reported, and stops
        nothing: rollback protection does not rest on clocks.
        """
        if self._known is None:
            self._known = self._look()
        trust, seen = self._known.trust, self._known.seen
        if trust is None or seen is None or self._now() > seen - _SLACK:
            return trust
        behind = f"the clock is behind {seen:%F %T}Z, when metadata was last accepted"
        return replace(trust, doubt=trust.doubt or f"{behind}: it cannot see what has expired")

    def _look(self) -> "_Known":
        try:
            roots = self._roots()
        except DistrustError:
            return _Known(trust=None, seen=None)
        if not self._path.exists() or not _numbered(self._path / ROOT_HISTORY):
            return _Known(trust=None, seen=None)
        content = _read(self._path / _FIRST_FILES[0])
        if content is not None and _fits(content, roots):
            timestamp = Metadata[Timestamp].from_bytes(content).signed
            trust = RegistryTrust(
                root=roots.version,
                timestamp=timestamp.version,
                expires=timestamp.expires.isoformat(),
            )
        else:
            was_there = content is not None or (self._path / _FIRST_FILES[1]).exists()
            lost = "the trusted timestamp is lost: rollback is seen by the snapshot only"
            trust = RegistryTrust(
                root=roots.version, timestamp=0, expires="", doubt=lost if was_there else None
            )
        return _Known(trust=trust, seen=self._clock_seen())

    def _roots(self) -> RootChain:
        try:
            first = self._first_root.read_bytes()
            files = _numbered(self._path / ROOT_HISTORY)
            kept = {version: _read(file) or b"" for version, file in files.items()}
            return chain(first, kept)
        except (OSError, RepositoryError) as error:
            raise DistrustError(
                Distrust.TRUSTED_ROOT,
                f"{self._first_root.name} in the config folder must be the registry's first root: "
                f"{error.strerror if isinstance(error, OSError) else error}",
            ) from error

    def _make_folders(self) -> None:
        for folder in (self._path, self._path / ROOT_HISTORY):
            if not folder.exists():
                self._disk.make_folder(folder)
                self._disk.sync_folder(folder.parent)

    def _publish(self, name: str, content: bytes) -> bool:
        """Write the file *name* unless it is there as it should be; tell whether it was not."""
        if _read(self._path / name) == content:
            return False
        self._disk.publish(self._path / name, content)
        return True

    def _note_clock(self) -> None:
        """Remember the latest time at which metadata was accepted.

        A clock that ran far ahead cannot have left its time here: nothing was valid by it.
        """
        now, seen = self._now(), self._clock_seen()
        if seen is None or now > seen:
            self._publish(CLOCK_FILE, json.dumps({"seen": now.isoformat()}).encode())

    def _clock_seen(self) -> datetime | None:
        try:
            seen = datetime.fromisoformat(json.loads(_read(self._path / CLOCK_FILE) or b"")["seen"])
        except (ValueError, TypeError, KeyError):
            return None
        return seen if seen.tzinfo is not None else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What the disk said when it was last looked at."""

    trust: RegistryTrust | None
    seen: datetime | None


def accepted_in(work: Path) -> dict[str, Signed]:
    """Return the metadata that python-tuf has accepted in *work*, by role; the newest root."""
    accepted: dict[str, Signed] = {}
    roots = _numbered(work / ROOT_HISTORY)
    files = {unquote(file.stem): file for file in _json_in(work)}
    if roots:
        files[Root.type] = roots[max(roots)]
    for role, file in files.items():
        try:
            metadata: Metadata[Any] = Metadata.from_bytes(file.read_bytes())
        except RepositoryError:
            continue  # it was damaged when it was laid out, and never used
        accepted[role] = metadata.signed
    return accepted


def _fits(content: bytes, roots: RootChain) -> bool:
    """Tell whether *content* was signed under one of *roots*: under an older one it may be, too.

    Then a rotation has taken its keys away, and nothing is damaged.
    """
    try:
        metadata: Metadata[Any] = Metadata.from_bytes(content)
    except RepositoryError:
        return False
    role = metadata.signed.type
    for root in reversed(roots.roots):
        try:
            root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)
        except (RepositoryError, ValueError):
            continue
        return True
    return False


def _numbered(folder: Path) -> dict[int, Path]:
    files = folder.iterdir() if folder.is_dir() else ()
    return {int(match[1]): file for file in files if (match := _ROOT_FILE.fullmatch(file.name))}


def _json_in(folder: Path) -> list[Path]:
    """Return the metadata files in *folder*; root.json is python-tuf's link into the history."""
    files = folder.glob("*.json") if folder.is_dir() else ()
    return sorted(file for file in files if file.name not in (_ROOT_LINK, CLOCK_FILE))


def _read(file: Path) -> bytes | None:
    try:
        return file.read_bytes()
    except OSError:
        return None
