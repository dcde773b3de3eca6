"""Errors of edgeAgent.

ManifestError (azure/errors.py)   the deployment breaks the schema: status 400
├── SchemaVersionError            its schema version is of another kind: status 412
└── EmptyConfigError              there is no deployment at all: status 417
StepFailedError                   a step of a deployment could not be done: status 500
└── EngineUnreachableError        the container engine does not answer
RequestRefusedError               a direct method is refused; carries the status of the answer
"""

from taktgate.standin.azure.errors import AzureStandInError, ManifestError


class SchemaVersionError(ManifestError):
    """The deployment's schema version is not one that edgeAgent understands."""


class EmptyConfigError(ManifestError):
    """The device has no deployment."""


class StepFailedError(AzureStandInError):
    """A step of a deployment could not be done; the steps after it are still tried."""


class EngineUnreachableError(StepFailedError):
    """The container engine does not answer."""


class RequestRefusedError(AzureStandInError):
    """A direct method is refused.

    Attributes:
        status: The status of the answer: 400 for what the caller got wrong, 500 for the rest.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
