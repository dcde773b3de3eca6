"""What the signed registry offers for an order, and whether this station may take it. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from taktgate.bundle.errors import FactsError
from taktgate.bundle.manifest import Manifest
from taktgate.bundle.targets import BundleFacts, HilStatus, ReleaseState, bundle_path
from taktgate.contracts.twins import RegistryTrust
from taktgate.staging.errors import NotPermittedError
from taktgate.staging.states import Request

_OF_THE_BUNDLE: Final = (
    "digest",
    "name",
    "version",
    "device_class",
    "source_digest",
    "kind",
    "precision",
    "ort",
    "opset",
    "ir_version",
    "unpacked_bytes",
)
"""Facts that the bundle itself says too; the others are the registry's own."""


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
            FactsError: what it says of it breaks a rule.
            RetriedError: it cannot be had now, or what it says cannot be trusted.
        """

    def recall(self, request: Request) -> Offer | None:
        """Return what the metadata that is trusted on the disk says of *request*, None if nothing.

        Nobody is asked, and no date matters: it is what was true when the registry was heard last.
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


def require_about(facts: BundleFacts, path: str) -> None:
    """Accept *facts* if they speak of the bundle at the target path *path*.

    Raises:
        FactsError: they speak of another name, version or device class.
    """
    said = bundle_path(facts.name, facts.version, facts.device_class)
    if said != path:
        raise FactsError("name, version, device_class", f"must be those of {path}, got {said}")


def require_as_signed(facts: BundleFacts, manifest: Manifest, digest: str) -> None:
    """Accept the unpacked bundle of *manifest*, with the identity *digest*, if *facts* are its own.

    The archive is the one that was signed, so a difference is a lie or a slip of its publisher:
    what was refused or permitted by the facts might not be what is about to run.

    Raises:
        FactsError: a field differs; the first one that does is named.
    """
    own = BundleFacts.of(manifest, digest=digest, serial=facts.serial)
    for field in _OF_THE_BUNDLE:
        said, found = getattr(facts, field), getattr(own, field)
        if said != found:
            raise FactsError(field, f"must be {found}, as in the bundle's manifest; got {said}")
