"""What the signed registry offers for an order, and whether this station may take it. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from taktgate.bundle.targets import BundleFacts, HilStatus, ReleaseState
from taktgate.contracts.twins import RegistryTrust
from taktgate.staging.errors import NotPermittedError
from taktgate.staging.states import Request


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A bundle that the registry has, by its signed metadata.

    Attributes:
        path: The target path.
        size_bytes: Of the archive.
        sha256: Of the archive, 64 hex digits.
        url: Where its bytes lie; may hold an access token.
        facts: What the signed metadata says of it.
    """

    path: str
    size_bytes: int
    sha256: str
    url: str
    facts: BundleFacts


class Registry(Protocol):
    """The signed registry."""

    def offer(self, request: Request) -> Offer:
        """Return what the registry has for *request*, by metadata that is verified and fresh.

        Raises:
            RefusedError: it has no such bundle for this device class.
            RetriedError: it cannot be had now, or what it says cannot be trusted.
        """

    def fetch(self, offer: Offer, *, start: int) -> Iterator[bytes]:
        """Yield the archive of *offer* from byte *start* on, never more than it may have.

        Raises:
            RefusedError: the bytes are refused.
            RetriedError: they cannot be had now.
        """

    def trust(self) -> RegistryTrust | None:
        """Return what metadata is trusted now, None before the first contact."""


def require_permitted(offer: Offer, *, waived_hil: bool) -> None:
    """Accept *offer* if the registry lets stations take it.

    Raises:
        NotPermittedError: it is not released, taken back, below the floor, or without HIL.
    """
    facts = offer.facts
    if facts.state is not ReleaseState.RELEASED:
        raise NotPermittedError(facts.state.value, f"{offer.path}: {facts.note}".rstrip(": "))
    if facts.hil is HilStatus.MISSING:
        raise NotPermittedError("hil", f"{offer.path}: released without a word on HIL")
    if facts.hil is HilStatus.WAIVED and not waived_hil:
        raise NotPermittedError(
            "hil", f"{offer.path}: HIL was waived, and staging.waived_hil is false here"
        )
