"""How edgeAgent says what became of a deployment: `lastDesiredStatus`."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from taktgate.standin.azure.edgeagent.errors import EmptyConfigError, SchemaVersionError
from taktgate.standin.azure.errors import ManifestError
from taktgate.standin.azure.json_types import JsonObject


class StatusCode(IntEnum):
    """Azure/iotedge edge-agent/.../Agent.Core/DeploymentStatusCode.cs."""

    SUCCESSFUL = 200
    CONFIG_FORMAT_ERROR = 400
    UNKNOWN = 406
    """edgeAgent does not run, or a step that failed waits to be tried again."""
    INVALID_SCHEMA_VERSION = 412
    CONFIG_EMPTY = 417
    FAILED = 500
    """A step failed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentStatus:
    """The code and the text that a reader of the twin sees."""

    code: StatusCode
    description: str = ""

    def to_wire(self) -> JsonObject:
        """Return the value of `lastDesiredStatus`."""
        return {"code": int(self.code), "description": self.description}


SUCCESSFUL = DeploymentStatus(code=StatusCode.SUCCESSFUL)
COOLING_OFF = DeploymentStatus(code=StatusCode.UNKNOWN)
NOT_RUNNING = DeploymentStatus(code=StatusCode.UNKNOWN, description="Agent is not running")


def refused(error: ManifestError) -> DeploymentStatus:
    """Return the status of a deployment that could not be read."""
    if isinstance(error, EmptyConfigError):
        return DeploymentStatus(code=StatusCode.CONFIG_EMPTY, description=str(error))
    if isinstance(error, SchemaVersionError):
        return DeploymentStatus(code=StatusCode.INVALID_SCHEMA_VERSION, description=str(error))
    description = f"Agent configuration format is invalid. {error}"
    return DeploymentStatus(code=StatusCode.CONFIG_FORMAT_ERROR, description=description)


def failed(errors: Sequence[Exception]) -> DeploymentStatus:
    """Return the status of a deployment with failed steps, worded as .NET's AggregateException."""
    reasons = " ".join(f"({error})" for error in errors)
    return DeploymentStatus(
        code=StatusCode.FAILED, description=f"One or more errors occurred. {reasons}"
    )
