"""What can go wrong between a frame and its verdict.

InspectionError
├── ModelRefusedError     a bundle must not judge here; `reason` says why, for twins and logs
├── RunFailedError        one run of a loaded model gave no usable answer
│   └── RunTerminatedError  it was ended from outside, since its time was up
├── CameraProtocolError   the camera sent something that is no frame of ours
├── ImageRefusedError     an image file is none that we take; `reason` says why
├── ActivationFileError   activation.json cannot be read: the station knows no model
└── IllegalTransitionError  a bug in the caller of the activation table
"""


class InspectionError(Exception):
    """Root of this slice's errors."""


class ModelRefusedError(InspectionError):
    """A bundle must not judge here."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class RunFailedError(InspectionError):
    """One run of a loaded model gave no usable answer."""


class RunTerminatedError(RunFailedError):
    """The run was ended from outside, since its time was up; the session can be used again."""


class CameraProtocolError(InspectionError):
    """The camera sent something that is no frame of ours."""


class ImageRefusedError(InspectionError):
    """An image file is none that we take.

    Attributes:
        reason: EMPTY, FORMAT, TYPE, SIZE or DAMAGED.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


class ActivationFileError(InspectionError):
    """activation.json cannot be read."""


class IllegalTransitionError(InspectionError):
    """An event that this phase does not know: a bug in the caller."""
