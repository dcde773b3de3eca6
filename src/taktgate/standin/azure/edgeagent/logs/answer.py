"""The answer of GetModuleLogs, without I/O.

Azure/iotedge edge-agent/.../Agent.Core/requests/ModuleLogsRequestHandler.cs, ModuleLogsResponse.cs,
logs/ModuleLogMessage.cs.
"""

import base64
import gzip
import json
from collections.abc import Sequence
from dataclasses import dataclass

from taktgate.standin.azure.edgeagent.logs.lines import parse_line
from taktgate.standin.azure.edgeagent.logs.request import LogContent, LogEncoding, LogRequest
from taktgate.standin.azure.edgeagent.runtime import LogLine
from taktgate.standin.azure.json_types import JsonObject

MAX_PAYLOAD_BYTES = 127_000
"""A direct method carries 128 KB; edgeAgent keeps 1 KB for the rest of the answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LogOrigin:
    """Whose lines they are, as the JSON form says with each."""

    hub: str
    device: str
    module: str


def log_answer(origin: LogOrigin, lines: Sequence[LogLine], request: LogRequest) -> JsonObject:
    """Return one module's part of the answer.

    What is too long is not cut: the caller gets a message that says so instead.
    """
    content = _content(origin, lines, request)
    if request.encoding is LogEncoding.GZIP:
        packed = gzip.compress(content, mtime=0)
        if len(packed) <= MAX_PAYLOAD_BYTES:
            text = base64.b64encode(packed).decode("ascii")
            return {"id": origin.module, "payloadBytes": text, "payload": None}
        content = packed
    # As .NET counts, in characters; what is packed is counted in bytes.
    size = len(content if request.encoding is LogEncoding.GZIP else content.decode())
    payload = content.decode() if size <= MAX_PAYLOAD_BYTES else _too_long(size)
    return {"id": origin.module, "payloadBytes": None, "payload": payload}


def _content(origin: LogOrigin, lines: Sequence[LogLine], request: LogRequest) -> bytes:
    if request.content is LogContent.TEXT:
        return "".join(line.text for line in lines).encode()
    return json.dumps([_message(origin, line) for line in lines], ensure_ascii=False).encode()


def _message(origin: LogOrigin, line: LogLine) -> JsonObject:
    parsed = parse_line(line.text)
    return {
        "iothub": origin.hub,
        "device": origin.device,
        "id": origin.module,
        "stream": line.stream,
        "loglevel": parsed.level,
        "text": parsed.text,
        "timestamp": None if parsed.time is None else parsed.time.isoformat(),
    }


def _too_long(size: int) -> str:
    return (
        "The payload is too large for a direct method. GetModuleLogs supports up to "
        f"{MAX_PAYLOAD_BYTES} bytes of logs. The current request returned {size} bytes.\n"
        "Try reducing the size of the logs by setting the 'tail', 'since' and 'from' fields in "
        "log options filter."
    )
