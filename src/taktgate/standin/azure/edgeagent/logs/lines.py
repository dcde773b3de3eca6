r"""Lines of a log as edgeAgent reads them: level, time and text, without I/O.

The form of a line: Azure/iotedge edge-agent/.../Agent.Core/logs/LogMessageParser.cs and
learn.microsoft.com/azure/iot-edge/how-to-retrieve-iot-edge-logs ("Recommended logging format"):
`<{level}> yyyy-MM-dd HH:mm:ss.fff zzz text`, level 0..7 as syslog has it.
"""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

DEFAULT_LEVEL = 6
_LINE = re.compile(
    r"(?:(?P<docker>\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d+)?Z))?\s*"
    r"(?:<(?P<level>\d)>)?\s*"
    r"(?:(?P<time>\d{4}-\d{2}-\d{2}\s\d{2}:\d{2}:\d{2}.\d{3}\s[+-]\d{2}:\d{2})\s)?\s*"
    r"(?P<text>.*)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedLine:
    """What edgeAgent sees in a line."""

    level: int
    time: datetime | None
    """The line's own time; None if it has none that is a date."""
    text: str


def parse_line(line: str) -> ParsedLine:
    """Return level, time and text of *line*; any text is a line."""
    match = _LINE.match(line)
    assert match is not None  # every part may be missing
    level = match["level"]
    return ParsedLine(
        level=DEFAULT_LEVEL if level is None else int(level),
        time=_date(match["time"]) or _date(match["docker"]),
        text=match["text"] or line,
    )


def _date(text: str | None) -> datetime | None:
    if text is None:
        return None
    date, _, rest = text.replace("T", " ").partition(" ")
    clock, _, zone = rest.partition(" ")
    try:
        moment = datetime.fromisoformat(f"{date}T{clock}{zone}")
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
