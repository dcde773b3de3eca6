"""What can stop an order between registry and slot. A refused bundle is a `BundleError`.

StagingError
├── RetriedError               the world's fault: tried again, the phase stays
│   ├── UnreachableError       UNREACHABLE    no registry, or it is out of order
│   ├── NoRepositoryError      NO_REPOSITORY  no signed registry under that URL (yet)
│   ├── TooSlowError           TIMEOUT        the registry is there, but takes too long
│   ├── DeniedError            DENIED         the registry refuses to hand it over: a token expired?
│   ├── DiskError              DISK           the slots volume refuses
│   │   ├── DiskFullError      DISK_FULL      the slots volume has no room
│   │   └── QuotaError         QUOTA          what is in use leaves too little of the quota
│   ├── ActivationUnknownError ACTIVATION     inference's record cannot be read
│   ├── DistrustError          (see there)    the registry's metadata cannot be trusted
│   ├── TargetChangedError     TARGET         the bytes are not those that the registry signed
│   ├── SandboxError           SANDBOX        the smoke test could not be made
│   └── GateError              KEY, DEVICE    this station cannot verify anything
├── RefusedError               the order's fault: not tried again under the same order
│   ├── NotFoundError          NOT_FOUND      no such bundle for this device class
│   ├── TooLargeError          TOO_LARGE      more bytes than a bundle may have
│   │   └── NeverFitsError     NEVER_FITS     more than this station's quota, however empty
│   ├── OtherModelError        OTHER_MODEL    sound, but not of the ordered name and version
│   ├── NotPermittedError      NOT_PERMITTED  the signed registry does not release it to stations
│   └── SmokeError             SMOKE          it does not run as it should, in a sandbox
├── BarredError                BLOCKED        rolled back here under this very order
├── HeldError                  HELD           the station says: not now
├── SupersededError            SUPERSEDED     a newer order came in between
└── IllegalTransitionError     BUG            an event that its phase does not know
"""

from taktgate.bundle.errors import BundleError


class StagingError(Exception):
    """An order was not staged; `reason` is stable, for queries."""

    reason: str = "STAGING"


class RetriedError(StagingError):
    """The world's fault.

    Attributes:
        retry_after_s: How long the other side asks to be left alone; None when it does not say.
    """

    retry_after_s: float | None = None


class UnreachableError(RetriedError):
    """The registry does not answer, or not as one that works."""

    reason = "UNREACHABLE"


class NoRepositoryError(RetriedError):
    """There is no signed registry under that URL: not yet, or the twin names a wrong one."""

    reason = "NO_REPOSITORY"


class TooSlowError(RetriedError):
    """The registry answers, but not within the time limits."""

    reason = "TIMEOUT"


class DeniedError(RetriedError):
    """The registry refuses to hand it over.

    That is settled on its side (a token is renewed under the same URL, a right is given) or by
    another URL in the twin, so it is asked again, from the start with long pauses.
    """

    reason = "DENIED"
    retry_after_s = 60.0


class DiskError(RetriedError):
    """The slots volume refuses a write."""

    reason = "DISK"


class DiskFullError(DiskError):
    """The slots volume has no room."""

    reason = "DISK_FULL"


class QuotaError(DiskError):
    """What is in use on the slots volume leaves too little of the station's quota."""

    reason = "QUOTA"


class ActivationUnknownError(RetriedError):
    """`activation.json` exists and cannot be read, so nobody knows what may be replaced."""

    reason = "ACTIVATION"


class DistrustError(RetriedError):
    """The registry's metadata cannot be trusted: what is live stays, and it is asked again.

    Its `reason` is one of those that `taktgate.staging.registry` gives: one for each attack.
    """

    reason = "DISTRUST"

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class TargetChangedError(RetriedError):
    """The downloaded bytes are not those that the registry signed; they are thrown away."""

    reason = "TARGET"


class SandboxError(RetriedError):
    """The smoke test could not be made: that says nothing about the model."""

    reason = "SANDBOX"


class GateError(RetriedError):
    """This station cannot verify anything: its own keys or device facts are at fault.

    Its `reason` is that of the BundleError behind it.
    """

    def __init__(self, fault: BundleError) -> None:
        super().__init__(str(fault))
        self.reason = fault.reason


class RefusedError(StagingError):
    """The order's fault."""


class NotFoundError(RefusedError):
    """The registry has no such bundle."""

    reason = "NOT_FOUND"


class TooLargeError(RefusedError):
    """The registry sends more than a bundle may have."""

    reason = "TOO_LARGE"


class NeverFitsError(TooLargeError):
    """The bundle takes more room than this station gives to all of them together."""

    reason = "NEVER_FITS"


class OtherModelError(RefusedError):
    """The bundle's manifest does not say what the order says."""

    reason = "OTHER_MODEL"


class NotPermittedError(RefusedError):
    """The signed registry does not let stations take this bundle.

    Attributes:
        rule: The release state that it is in, or "hil".
    """

    reason = "NOT_PERMITTED"

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(f"{rule}: {message}")
        self.rule = rule


class SmokeError(RefusedError):
    """The model does not run as it should, within its limits, on this device."""

    reason = "SMOKE"


class BarredError(StagingError):
    """The digest was rolled back on this station under this very order.

    Attributes:
        digest: The bundle's.
    """

    reason = "BLOCKED"

    def __init__(self, digest: str, message: str) -> None:
        super().__init__(message)
        self.digest = digest


class HeldError(StagingError):
    """The station says "not now"; the message says why."""

    reason = "HELD"


class SupersededError(StagingError):
    """A newer order makes this work pointless."""

    reason = "SUPERSEDED"


class IllegalTransitionError(StagingError):
    """An event came in a phase that does not know it."""

    reason = "BUG"
