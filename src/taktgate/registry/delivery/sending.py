"""A copy of a registry somewhere else, brought to the newest state without a half one in between.

Targets come first, then the metadata that names them, then timestamp.json, which lets clients see
the rest. A copy that was cut off shows the older state, and the next one takes up what is missing.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Timestamp

from taktgate.registry.delivery.published import TIMESTAMP_NAME, Published, StaticFile, roots_before
from taktgate.registry.errors import ForeignError


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """A file that is there already; *sha256* is None where nobody knows it."""

    size_bytes: int
    sha256: str | None

    def is_same(self, file: StaticFile) -> bool:
        """Tell whether it holds what *file* holds."""
        return (self.size_bytes, self.sha256) == (file.size_bytes, file.sha256)

    def is_other(self, file: StaticFile) -> bool:
        """Tell whether it certainly holds something else than *file*."""
        return self.size_bytes != file.size_bytes or self.sha256 not in (None, file.sha256)


class Destination(Protocol):
    """Where a copy goes. Each method raises DeliveryError when it cannot be done."""

    def inventory(self) -> Mapping[str, Stored]:
        """Return the files that are there, by name."""

    def read(self, name: str) -> bytes:
        """Return the small file *name*, which is there."""

    def write(self, file: StaticFile) -> None:
        """Write *file*, whole or not at all, over an older one of its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivered:
    """What a copy took.

    Attributes:
        written: Names of the files that were not there, in the order they were written.
        written_bytes: Of those.
        kept: How many were there already.
    """

    written: tuple[str, ...]
    written_bytes: int
    kept: int


def deliver(
    state: Published,
    destination: Destination,
    *,
    paths: Iterable[str] | None = None,
    on_file: Callable[[StaticFile], None] = lambda file: None,
) -> Delivered:
    """Bring *destination* to *state*, with the targets *paths*, by default all of them.

    Raises:
        ForeignError: another registry is there, or a newer state of this one.
        DeliveryError: it cannot be written; the older state is still whole.
    """
    there = destination.inventory()
    timestamp = StaticFile.of(TIMESTAMP_NAME, state.timestamp)
    before = destination.read(TIMESTAMP_NAME) if TIMESTAMP_NAME in there else None
    _require_ours(state, there, before)
    targets = state.files_of(sorted(state.targets if paths is None else paths))
    written, kept = [], 0
    for file in _in_order(state, targets, timestamp, before):
        if file.name in there and there[file.name].is_same(file):
            kept += 1
            continue
        on_file(file)
        destination.write(file)
        written.append(file)
    return Delivered(
        written=tuple(file.name for file in written),
        written_bytes=sum(file.size_bytes for file in written),
        kept=kept,
    )


def _in_order(
    state: Published, targets: list[StaticFile], timestamp: StaticFile, before: bytes | None
) -> Iterator[StaticFile]:
    early = len(state.roots) if before is None else roots_before(state, before)
    yield from targets
    yield from reversed(state.metadata)
    yield from state.roots[:early]
    yield timestamp
    yield from state.roots[early:]


def _require_ours(state: Published, there: Mapping[str, Stored], before: bytes | None) -> None:
    """Refuse to mix two registries, or to bring back an older state that clients would refuse."""
    for file in (*state.roots, *state.metadata):
        if file.name in there and there[file.name].is_other(file):
            raise ForeignError(f"{file.name}: another one is there, of another registry or damaged")
    if before is None:
        return
    try:
        theirs = Metadata[Timestamp].from_bytes(before).signed.version
    except RepositoryError as error:
        raise ForeignError(f"{TIMESTAMP_NAME}: what is there is none: {error}") from error
    ours = Metadata[Timestamp].from_bytes(state.timestamp).signed.version
    if theirs > ours or (theirs == ours and before != state.timestamp):
        raise ForeignError(
            f"{TIMESTAMP_NAME}: version {theirs} is there, and this registry is at {ours}"
        )
