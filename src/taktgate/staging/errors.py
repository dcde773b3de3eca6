"""What can stop an order between registry and slot. A refused bundle is a `BundleError`.

StagingError
├── RetriedError               the world's fault: tried again, the phase stays
│   ├── UnreachableError       UNREACHABLE    no registry, or it is out of order
│   ├── TooSlowError           TIMEOUT        the registry is there, but takes too long
│   ├── DiskError              DISK           the slots volume refuses
│   │   └── DiskFullError      DISK_FULL      the slots volume has no room
│   ├── ActivationUnknownError ACTIVATION     inference's record cannot be read
│   ├── TrialRunningError      TRIAL_RUNNING  slots and orders stay until it has settled
│   └── GateError              KEY, DEVICE    this station cannot verify anything
├── RefusedError               the order's fault: not tried again under the same order
│   ├── NotFoundError          NOT_FOUND      no such bundle for this device class
│   ├── DeniedError            DENIED         the registry refuses to hand it over
│   ├── TooLargeError          TOO_LARGE      more bytes than a bundle may have
│   └── OtherModelError        OTHER_MODEL    sound, but not of the ordered name and version
├── BarredError                BLOCKED        rolled back here under this very order
├── SupersededError            SUPERSEDED     a newer order came in between
└── IllegalTransitionError     BUG            an event that its phase does not know
"""

from taktgate.bundle.errors import BundleError


class StagingError(Exception):
    """An order was not staged; `reason` is stable, for queries."""

    reason: str = "STAGING"


class RetriedError(StagingError):
    """The world's fault."""


class UnreachableError(RetriedError):
    """The registry does not answer, or not as one that works."""

    reason = "UNREACHABLE"


class TooSlowError(RetriedError):
    """The registry answers, but not within the time limits."""

    reason = "TIMEOUT"


class DiskError(RetriedError):
    """The slots volume refuses a write."""

    reason = "DISK"


class DiskFullError(DiskError):
    """The slots volume has no room."""

    reason = "DISK_FULL"


class ActivationUnknownError(RetriedError):
    """`activation.json` exists and cannot be read, so nobody knows what may be replaced."""

    reason = "ACTIVATION"


class TrialRunningError(RetriedError):
    """A model is on trial on this station."""

    reason = "TRIAL_RUNNING"


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


class DeniedError(RefusedError):
    """The registry refuses to hand the bundle over."""

    reason = "DENIED"


class TooLargeError(RefusedError):
    """The registry sends more than a bundle may have."""

    reason = "TOO_LARGE"


class OtherModelError(RefusedError):
    """The bundle's manifest does not say what the order says."""

    reason = "OTHER_MODEL"


class BarredError(StagingError):
    """The digest was rolled back on this station under this very order."""

    reason = "BLOCKED"


class SupersededError(StagingError):
    """A newer order makes this work pointless."""

    reason = "SUPERSEDED"


class IllegalTransitionError(StagingError):
    """An event came in a phase that does not know it."""

    reason = "BUG"
