"""Why the registry's metadata was not trusted: one stable reason for each attack.

The attacks are those of the TUF specification, section 1.5.2
(https://theupdateframework.github.io/specification/latest/#goals-to-protect-against-specific-attacks).
Two of them keep the names that they have with any download: slow bytes of a bundle are a TIMEOUT,
and an archive of other bytes than were signed (arbitrary software) is a TARGET.
"""

from enum import StrEnum


class Distrust(StrEnum):
    """`lastError.reason` of an order that waits for a registry to be trusted. All are retried."""

    TRUSTED_ROOT = "TRUSTED_ROOT"
    """The first root, in this station's config folder, is missing or is none."""
    ROOT_CHAIN = "ROOT_CHAIN"
    """A new root is not the next one, or there are more of them than one refresh follows."""
    UNSIGNED = "UNSIGNED"
    """None of the role's keys has signed."""
    WRONG_THRESHOLD = "WRONG_THRESHOLD"
    """Some of the role's keys have signed, but fewer than must."""
    KEY_LOSS = "KEY_LOSS"
    """The role has fewer keys than must sign: no metadata can satisfy it."""
    EXPIRED = "EXPIRED"
    """Root, snapshot or targets are past their date, by this machine's clock."""
    FREEZE = "FREEZE"
    """The timestamp is: perhaps an old state of the registry is shown again and again."""
    ROLLBACK = "ROLLBACK"
    """A version is lower than this station has trusted, or a role is gone."""
    FAST_FORWARD = "FAST_FORWARD"
    """A version is so high that no honest registry reaches it."""
    MIX_AND_MATCH = "MIX_AND_MATCH"
    """A file is not the one that the snapshot or the timestamp names."""
    INCOMPLETE = "INCOMPLETE"
    """A file that the signed metadata names is not there."""
    ENDLESS_DATA = "ENDLESS_DATA"
    """A file is longer than signed, or than its role may be."""
    SLOW_RETRIEVAL = "SLOW_RETRIEVAL"
    """The metadata trickles in, and is not complete in time."""
    MALFORMED = "MALFORMED"
    """A file is no metadata, or that of another role."""
