"""How much a station takes from a registry before it trusts it."""

from dataclasses import dataclass
from typing import Final

from tuf.api.metadata import Root, Snapshot, Timestamp
from tuf.ngclient import UpdaterConfig

from taktgate.bundle.targets import ROLE_LIMIT_BYTES

MOST_VERSION: Final = (1 << 31) - 1
"""One version a second for 68 years. Signed metadata above it would also make a report that the hub
refuses: integers in a twin end at 2^52."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryLimits:
    """Bounds of one refresh; each role's own is also bounded by what signed metadata says of it."""

    root_bytes: int = 1 << 18
    """Hundreds of keys."""
    timestamp_bytes: int = 1 << 14
    """One entry and its signatures."""
    snapshot_bytes: int = 1 << 20
    """100 bytes for each of 10,000 roles."""
    targets_bytes: int = ROLE_LIMIT_BYTES
    request_s: float = 30.0
    """For one file of metadata."""
    refresh_s: float = 120.0
    """For all files of a refresh. The agent hears no mail in the meantime."""
    root_rotations: int = 64
    """New roots that one refresh follows; the next one goes on from there."""
    delegations: int = 32

    def bytes_of(self, role: str) -> int:
        """Return the most bytes that metadata of *role* may have."""
        own = {
            Root.type: self.root_bytes,
            Timestamp.type: self.timestamp_bytes,
            Snapshot.type: self.snapshot_bytes,
        }
        return own.get(role, self.targets_bytes)

    def for_updater(self) -> UpdaterConfig:
        """Return the limits as python-tuf wants them."""
        return UpdaterConfig(
            max_root_rotations=self.root_rotations,
            max_delegations=self.delegations,
            root_max_length=self.root_bytes,
            timestamp_max_length=self.timestamp_bytes,
            snapshot_max_length=self.snapshot_bytes,
            targets_max_length=self.targets_bytes,
        )
