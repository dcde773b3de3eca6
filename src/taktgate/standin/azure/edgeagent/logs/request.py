"""The payload of GetModuleLogs and UploadModuleLogs, and what it selects, without I/O.

learn.microsoft.com/azure/iot-edge/how-to-retrieve-iot-edge-logs; Azure/iotedge
edge-agent/.../Agent.Core/requests/ModuleLogsRequest.cs, logs/ModuleLogFilter.cs.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, TypeVar

from taktgate.standin.azure.edgeagent.errors import RequestRefusedError
from taktgate.standin.azure.edgeagent.logs.lines import parse_line
from taktgate.standin.azure.edgeagent.runtime import LogLine, LogWindow

ALL_MODULES = "all"
ALWAYS = LogWindow()
_UNITS = {
    "d": "days", "day": "days", "days": "days",
    "h": "hours", "hr": "hours", "hour": "hours", "hours": "hours",
    "m": "minutes", "min": "minutes", "minute": "minutes", "minutes": "minutes",
    "s": "seconds", "sec": "seconds", "second": "seconds", "seconds": "seconds",
}  # fmt: skip
_PART = re.compile(r"\s*(\d+)\s*([a-z]+)", re.ASCII)

_Choice = TypeVar("_Choice", bound=StrEnum)


class LogEncoding(StrEnum):
    """How the answer is packed."""

    NONE = "none"
    GZIP = "gzip"


class LogContent(StrEnum):
    """What form the answer has."""

    TEXT = "text"
    JSON = "json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """Which lines of a module are wanted."""

    tail: int | None = None
    window: LogWindow = ALWAYS
    level: int | None = None
    regex: re.Pattern[str] | None = None

    def select(self, lines: Iterable[LogLine]) -> list[LogLine]:
        """Return what is wanted of *lines* (which are within the window already)."""
        found = [line for line in lines if self._wants(line)]
        return found if self.tail is None else found[max(0, len(found) - self.tail) :]

    def _wants(self, line: LogLine) -> bool:
        if self.level is None and self.regex is None:
            return True
        parsed = parse_line(line.text)
        if self.level is not None and parsed.level != self.level:
            return False
        return self.regex is None or self.regex.search(parsed.text) is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogItem:
    """A group of modules and what is wanted of each."""

    modules: re.Pattern[str] | None
    """None means all."""
    filter: LogFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRequest:
    """What is wanted, and how."""

    items: tuple[LogItem, ...]
    encoding: LogEncoding
    content: LogContent

    def filters(self, modules: Iterable[str]) -> dict[str, LogFilter]:
        """Return the filter of each module that is wanted; the first item that fits counts."""
        chosen: dict[str, LogFilter] = {}
        names = list(modules)
        for item in self.items:
            for name in names:
                if item.modules is None or item.modules.search(name):
                    chosen.setdefault(name, item.filter)
        return chosen


def parse_log_request(payload: Mapping[str, Any], *, now: datetime) -> LogRequest:
    """Return the request; times that are durations count back from *now*.

    Raises:
        RequestRefusedError: 400, the payload breaks a rule; the message names field and rule.
    """
    items = payload.get("items")
    if isinstance(items, Mapping):
        items = [items]
    if not isinstance(items, list):
        raise _refused("items", items, "a list of {id, filter}")
    return LogRequest(
        items=tuple(_item(item, f"items[{index}]", now) for index, item in enumerate(items)),
        encoding=_choice(LogEncoding, payload.get("encoding"), LogEncoding.NONE, "encoding"),
        content=_choice(LogContent, payload.get("contentType"), LogContent.TEXT, "contentType"),
    )


def _item(item: Any, where: str, now: datetime) -> LogItem:
    if not isinstance(item, Mapping) or not isinstance(item.get("id"), str) or not item["id"]:
        raise _refused(f"{where}.id", item, "a regular expression of module names, or all")
    return LogItem(
        modules=None
        if item["id"].lower() == ALL_MODULES
        else _regex(item["id"], f"{where}.id", re.IGNORECASE),
        filter=_filter(item.get("filter") or {}, f"{where}.filter", now),
    )


def _filter(given: Any, where: str, now: datetime) -> LogFilter:
    if not isinstance(given, Mapping):
        raise _refused(where, given, "an object")
    level = given.get("loglevel", given.get("logLevel"))
    regex = given.get("regex")
    return LogFilter(
        tail=_count(given.get("tail"), f"{where}.tail", 2**31 - 1),
        window=LogWindow(
            since_s=_moment(given.get("since"), f"{where}.since", now),
            until_s=_moment(given.get("until"), f"{where}.until", now),
        ),
        level=_count(level, f"{where}.loglevel", 7),
        regex=None if regex is None else _regex(regex, f"{where}.regex", re.NOFLAG),
    )


def _count(value: Any, where: str, highest: int) -> int | None:
    if value is None:
        return None
    number = int(value) if isinstance(value, str) and re.fullmatch(r"[0-9]{1,10}", value) else value
    if isinstance(number, bool) or not isinstance(number, int) or not 0 <= number <= highest:
        raise _refused(where, value, f"0..{highest}")
    return number


def _moment(value: Any, where: str, now: datetime) -> float | None:
    """Return seconds since 1970 of an RFC 3339 time, a UNIX time, or a duration back from *now*."""
    if value is None:
        return None
    text = str(value).strip()
    if re.fullmatch(r"[0-9]{1,12}", text):
        return float(text)
    try:
        if (duration := _duration(text)) is not None:
            return (now - duration).timestamp()
        moment = datetime.fromisoformat(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        rule = "RFC 3339 time, UNIX time, or duration such as 1d or 2 hours 30 minutes"
        raise _refused(where, value, rule) from None


def _duration(text: str) -> timedelta | None:
    position, total = 0, timedelta()
    while position < len(text):
        part = _PART.match(text, position)
        unit = None if part is None else _UNITS.get(part[2])
        if part is None or unit is None:
            return None
        total += timedelta(**{unit: int(part[1])})
        position = part.end()
    return total if position else None


def _regex(value: Any, where: str, flags: re.RegexFlag) -> re.Pattern[str]:
    try:
        return re.compile(value, flags)
    except (re.error, TypeError, RecursionError, OverflowError) as error:
        raise _refused(where, value, f"a regular expression ({error})") from None


def _choice(kind: type[_Choice], value: Any, default: _Choice, where: str) -> _Choice:
    if value is None:
        return default
    try:
        return kind(str(value).lower())
    except ValueError:
        raise _refused(where, value, " or ".join(kind)) from None


def _refused(where: str, value: Any, rule: str) -> RequestRefusedError:
    message = "Error parsing command payload because of error"
    return RequestRefusedError(400, f"{message} - {where} {value!r}; rule: {rule}")
