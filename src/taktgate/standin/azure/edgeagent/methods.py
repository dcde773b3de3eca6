"""The direct methods of `$edgeAgent`.

Azure/iotedge edge-agent/.../Agent.Core/requests/RequestManager.cs: names without regard to case,
400 for an argument that is wrong, 500 for what then fails, and `{"message"}` as the payload.
"""

import logging
import re
import uuid
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from taktgate.standin.azure.clock import Clock
from taktgate.standin.azure.device_link import MethodResult
from taktgate.standin.azure.edgeagent.errors import RequestRefusedError, StepFailedError
from taktgate.standin.azure.edgeagent.logs.answer import LogOrigin, log_answer
from taktgate.standin.azure.edgeagent.logs.journal import Journal
from taktgate.standin.azure.edgeagent.logs.request import parse_log_request
from taktgate.standin.azure.edgeagent.module import ManagedModule
from taktgate.standin.azure.edgeagent.module_status import RuntimeStatus
from taktgate.standin.azure.edgeagent.runtime import LogLine, LogWindow, ModuleRuntime
from taktgate.standin.azure.json_types import JsonObject

log = logging.getLogger(__name__)

NO_UPLOAD = "the local Azure has no blob storage to upload to; rule: use GetModuleLogs"
SCHEMA_MAJOR = 1
OWN_NAME = "edgeAgent"
"""Among the modules that have logs; edgeHub's is not kept here."""

_Handler = Callable[[Any], Awaitable[Any]]


class ModuleHost(Protocol):
    """What the methods need of edgeAgent."""

    @property
    def modules(self) -> Mapping[str, ManagedModule]:
        """The modules that the device has now."""

    @property
    def runtime(self) -> ModuleRuntime:
        """What runs them."""

    @property
    def journal(self) -> Journal:
        """Its own log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Task:
    """A background task, as GetTaskStatus tells of it."""

    operation: str

    def to_wire(self, correlation_id: str, *, is_over: bool) -> JsonObject:
        failed = f"Task {self.operation} failed because of error {NO_UPLOAD}"
        return {
            "status": "Failed" if is_over else "Running",
            "message": failed if is_over else "",
            "correlationId": correlation_id,
        }


class AgentMethods:
    """Answers the direct methods of one edgeAgent."""

    def __init__(self, host: ModuleHost, *, hub: str, device: str, clock: Clock) -> None:
        self._host = host
        self._hub = hub
        self._device = device
        self._clock = clock
        self._tasks: dict[str, _Task] = {}
        self._handlers: dict[str, _Handler] = {
            "ping": self._ping,
            "GetTaskStatus": self._get_task_status,
            "GetModuleLogs": self._get_module_logs,
            "UploadModuleLogs": self._upload_module_logs,
            "UploadSupportBundle": self._upload_support_bundle,
            "RestartModule": self._restart_module,
        }
        self._by_lower_name = {name.lower(): call for name, call in self._handlers.items()}

    async def invoke(self, name: str, payload: Any) -> MethodResult:
        """Answer the method *name*."""
        try:
            handler = self._by_lower_name.get(name.lower())
            if handler is None:
                known = ",".join(self._handlers)
                raise RequestRefusedError(
                    400, f"Command '{name}' not found. The supported commands are - {known}"
                )
            return MethodResult(status=200, payload=await handler(payload))
        except RequestRefusedError as error:
            return self._refusal(name, error.status, str(error))
        except StepFailedError as error:
            return self._refusal(name, 500, str(error))

    def _refusal(self, name: str, status: int, message: str) -> MethodResult:
        facts = {"device": self._device, "method": name, "reason": message}
        log.warning("direct method of edgeAgent refused", extra=facts)
        return MethodResult(status=status, payload={"message": message})

    async def _ping(self, _payload: Any) -> None:
        return None

    async def _restart_module(self, payload: Any) -> None:
        request = _versioned(payload)
        name = _text(request, "id")
        module = self._host.modules.get(name)
        if module is None:
            raise RequestRefusedError(500, f"Module {name} not found in the current environment")
        if module.status is not RuntimeStatus.RUNNING:
            message = f"Module {name} cannot be restarted since it is not running"
            raise RequestRefusedError(500, message)
        await module.restart()

    async def _get_module_logs(self, payload: Any) -> list[JsonObject]:
        request = parse_log_request(_versioned(payload), now=self._clock.utc())
        answers = []
        for name, wanted in request.filters([OWN_NAME, *self._host.modules]).items():
            lines = await self._lines(name, wanted.window)
            origin = LogOrigin(hub=self._hub, device=self._device, module=name)
            answers.append(log_answer(origin, wanted.select(lines), request))
        return answers

    async def _lines(self, name: str, window: LogWindow) -> list[LogLine]:
        if name == OWN_NAME:
            return self._host.journal.read(window)
        return await self._host.runtime.logs(name, window)

    async def _upload_module_logs(self, payload: Any) -> JsonObject:
        request = _versioned(payload)
        _text(request, "sasUrl")
        parse_log_request(request, now=self._clock.utc())
        return self._begin(_Task(operation="upload logs"))

    async def _upload_support_bundle(self, payload: Any) -> JsonObject:
        _text(_versioned(payload), "sasUrl")
        return self._begin(_Task(operation="upload support bundle"))

    async def _get_task_status(self, payload: Any) -> JsonObject:
        correlation_id = _text(_versioned(payload), "correlationId")
        task = self._tasks.get(correlation_id)
        if task is None:
            return {"status": "Unknown", "message": "", "correlationId": correlation_id}
        return task.to_wire(correlation_id, is_over=True)

    def _begin(self, task: _Task) -> JsonObject:
        """Begin a task that cannot succeed here: as with a bad SAS URL, only its status says so."""
        correlation_id = str(uuid.uuid4())
        self._tasks[correlation_id] = task
        return task.to_wire(correlation_id, is_over=False)


def _versioned(payload: Any) -> Mapping[str, Any]:
    """Return a payload that has a schema version that edgeAgent understands."""
    if payload is None:
        raise RequestRefusedError(400, "Request payload not found")
    if not isinstance(payload, Mapping):
        message = "Error parsing command payload because of error"
        raise RequestRefusedError(400, f"{message} - payload; rule: a JSON object")
    version = _text(payload, "schemaVersion")
    match = re.fullmatch(r"(\d{1,9})\.\d{1,9}", version)
    if match is None or int(match[1]) != SCHEMA_MAJOR:
        message = f"The request schema version {version} is not compatible"
        raise RequestRefusedError(500, f"{message} with the expected version 1.0")
    return payload


def _text(payload: Mapping[str, Any], field: str) -> str:
    value = payload.get(field)
    if not isinstance(value, str) or not value.strip():
        message = "Error parsing command payload because of error"
        raise RequestRefusedError(400, f"{message} - {field} {value!r}; rule: a text")
    return value
