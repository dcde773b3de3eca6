"""Errors of edgeAgent.

ManifestError (azure/errors.py)   the deployment breaks the schema: status 400
├── SchemaVersionError            its schema version is of another kind: status 412
└── EmptyConfigError              there is no deployment at all: status 417
StepFailedError                   a step of a deployment could not be done: status 500
├── EngineUnreachableError        the container engine does not answer
├── NotFoundError                 it has no such image, container or network
└── ConflictError                 a name is taken, or a container not in the state for it
RequestRefusedError               a direct method or a call of the workload API is refused
InvalidInputError                 what a module wants decrypted or signed cannot be
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


class NotFoundError(StepFailedError):
    """The engine has no such image, container or network."""


class ConflictError(StepFailedError):
    """The name is taken, or the container is not in the state for this."""


class InvalidInputError(AzureStandInError):
    """What a module sent is not base64, or was not encrypted by it."""


class RequestRefusedError(AzureStandInError):
    """A direct method, or a call of the workload API, is refused.

    Attributes:
        status: The status of the answer: 4xx for what the caller got wrong, 500 for the rest.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
