"""What can go wrong between a frame and its verdict.

InspectionError
├── ModelRefusedError     a bundle must not judge here; `reason` says why, for twins and logs
├── RunFailedError        one run of a loaded model gave no usable answer
├── CameraProtocolError   the camera sent something that is no frame of ours
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


class CameraProtocolError(InspectionError):
    """The camera sent something that is no frame of ours."""


class ActivationFileError(InspectionError):
    """activation.json cannot be read."""


class IllegalTransitionError(InspectionError):
    """An event that this phase does not know: a bug in the caller."""
