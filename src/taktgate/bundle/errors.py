"""What can be wrong with a bundle. Each error has a short stable `reason` for twins and messages.

BundleError
├── ArchiveError             ARCHIVE       no archive of ours, too big, or playing tricks
├── SignatureError           SIGNATURE     not signed by a key this device trusts
├── ManifestError            MANIFEST      the manifest breaks a rule; names field and rule
├── FactsError               FACTS         the registry's facts of a bundle break a rule
├── DigestMismatchError      DIGEST        a file is not the one the manifest lists
├── IncompatibleError        INCOMPATIBLE  sound, but not for this device
├── GoldenUnavailableError   GOLDEN        its golden images cannot be had here
├── KeyFileError             KEY           a key file of ours cannot be used
└── DeviceUnknownError       DEVICE        this device cannot say what it can run
"""

from __future__ import annotations

from typing import ClassVar


class BundleError(Exception):
    """A bundle, or a key for bundles, cannot be used."""

    reason: ClassVar[str] = "BUNDLE"


class ArchiveError(BundleError):
    """The archive or the unpacked directory is not made as a bundle is."""

    reason: ClassVar[str] = "ARCHIVE"


class SignatureError(BundleError):
    """No trusted key has signed this manifest."""

    reason: ClassVar[str] = "SIGNATURE"


class ManifestError(BundleError):
    """The manifest breaks a rule.

    Attributes:
        field: The field, dotted, empty for the document as a whole.
        rule: The rule that was broken.
    """

    reason: ClassVar[str] = "MANIFEST"

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"manifest field {field}: {rule}" if field else f"manifest: {rule}")
        self.field = field
        self.rule = rule


class FactsError(BundleError):
    """The signed facts of a target break a rule.

    Attributes:
        field: The field, dotted.
        rule: The rule that was broken.
    """

    reason: ClassVar[str] = "FACTS"

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"target facts field {field}: {rule}")
        self.field = field
        self.rule = rule


class DigestMismatchError(BundleError):
    """A file has another size or digest than the manifest says."""

    reason: ClassVar[str] = "DIGEST"


class IncompatibleError(BundleError):
    """This device cannot run the bundle.

    Attributes:
        field: The manifest field that does not fit.
        rule: What this device can do.
    """

    reason: ClassVar[str] = "INCOMPATIBLE"

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"manifest field {field}: {rule}")
        self.field = field
        self.rule = rule


class GoldenUnavailableError(BundleError):
    """Golden images of the manifest are not on this device: the model cannot be checked."""

    reason: ClassVar[str] = "GOLDEN"


class KeyFileError(BundleError):
    """A key file is missing, unreadable or of another kind."""

    reason: ClassVar[str] = "KEY"


class DeviceUnknownError(BundleError):
    """What this device can run is not known: no runtime, no such class, or a bad matrix."""

    reason: ClassVar[str] = "DEVICE"
