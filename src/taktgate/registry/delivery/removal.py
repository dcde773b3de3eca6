"""A copy of a registry without the old metadata that no client can ask for any more."""

import datetime
from collections.abc import Mapping
from typing import Protocol

from tuf.api.metadata import Metadata, Timestamp

from taktgate.registry.delivery.published import Published
from taktgate.registry.delivery.sending import Stored
from taktgate.registry.signed.pruning import Pruned, outdated
from taktgate.registry.signed.repository import METADATA


class Prunable(Protocol):
    """A copy that files can be removed from. Each method raises DeliveryError when it cannot be."""

    def inventory(self) -> Mapping[str, Stored]:
        """Return the files that are there, by name."""

    def read(self, name: str) -> bytes:
        """Return the small file *name*, which is there."""

    def remove(self, name: str) -> None:
        """Remove the file *name*; it may be gone already."""


def prune_copy(state: Published, copy: Prunable, *, now: datetime.datetime) -> Pruned:
    """Remove from *copy*, which shows *state*, what no client can ask for any more.

    What that is, the copy says itself: it may have lagged behind, and the registry have been pruned
    since. Snapshots that are here as well are not fetched.

    Raises:
        RegistryError: a file is damaged.
        DeliveryError: a file cannot be read or removed; those before it are, which does no harm.
    """

    def read(name: str) -> bytes:
        here = state.registry / METADATA / name
        return here.read_bytes() if here.exists() else copy.read(f"{METADATA}/{name}")

    there = [name for name in copy.inventory() if name.startswith(f"{METADATA}/")]
    names = [name.removeprefix(f"{METADATA}/") for name in there]
    seen = Metadata[Timestamp].from_bytes(state.timestamp).signed.snapshot_meta.version
    found = outdated(names, read=read, seen=seen, now=now)
    for name in found.removed:
        copy.remove(f"{METADATA}/{name}")
    return found
