"""`taktgate world route-check`: would this route take this message?

A route is checked as edgeHub would compile and run it, without a hub. Lines in, lines out:

    {"id": 1, "route": "FROM /messages/* WHERE key = 'x' INTO $upstream",
     "message": {"source": "/messages/modules/m/outputs/o", "application_properties": {"key": "x"},
                 "system_properties": {"contentType": "application/json"}, "body": {"a": 1}}}
    {"id": 1, "result": "True"}

What a line may leave out: `message` and each of its fields. Without a source the message comes from
a device (`/messages/`). A body is text, or JSON that is written down as text, in the encoding that
`contentEncoding` names. Property values are text or null; other JSON values count as their text.
"""

import argparse
import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TextIO

from taktgate.standin.azure.edgehub.routes.body import ENCODINGS
from taktgate.standin.azure.edgehub.routes.conditions import MessageFacts, Truth
from taktgate.standin.azure.edgehub.routes.language import DEVICE_MESSAGES, compile_entry
from taktgate.standin.azure.errors import AzureStandInError, RouteSyntaxError
from taktgate.standin.azure.json_types import JsonObject
from taktgate.standin.azure.mqtt.topics import SYSTEM_NAMES

EXIT_OK: Final = 0
EXIT_BAD_INPUT: Final = 2
COMPILE_ERROR: Final = "CompileError"
NO_SOURCE: Final = "NoSource"

_EPILOG: Final = """
a line in:   {"id", "route", "message": {"source", "application_properties", "system_properties",
             "body"}}; route is text or {"route", "priority", "timeToLiveSecs"}
a line out:  {"id", "result", "error"?}; result is "True", "False", "Undefined", "NoSource" or
             "CompileError"
NoSource:    FROM does not take messages from this source
exit code:   0 every line was answered; 2 some lines are not of this form (their answer says why)

example:
  echo '{"id": 1, "route": "FROM /messages/* WHERE a = 1 INTO $upstream"}' \\
    | taktgate world route-check
"""


class _LineError(AzureStandInError):
    """A line that is not of the form that the command reads."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One question: does *route* (text or object) take a message from *source* with *facts*?"""

    route: Any
    source: str
    facts: MessageFacts


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `route-check` to the commands of `taktgate world`."""
    parser = commands.add_parser(
        "route-check",
        help="which messages would a route take? JSON lines in, JSON lines out",
        description="Compile routes and run them on messages, as edgeHub does.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--file", type=Path, metavar="FILE", help="read FILE, not standard input")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Answer all lines; return the exit code."""
    if arguments.file is None:
        return _answer_all(sys.stdin.buffer, sys.stdout)
    try:
        with arguments.file.open("rb") as lines:
            return _answer_all(lines, sys.stdout)
    except OSError as error:
        sys.stderr.write(f"taktgate world route-check: --file {arguments.file}: {error}\n")
        return EXIT_BAD_INPUT


def answers(lines: Iterable[bytes]) -> Iterator[JsonObject]:
    """Yield the answer to each line that is not blank."""
    for line in lines:
        if line.strip():
            yield _answer(line)


def _answer_all(lines: Iterable[bytes], output: TextIO) -> int:
    code = EXIT_OK
    for answer in answers(lines):
        output.write(json.dumps(answer) + "\n")
        output.flush()
        if "result" not in answer:
            code = EXIT_BAD_INPUT
    return code


def _answer(line: bytes) -> JsonObject:
    case_id = None
    try:
        document = _parsed(line)
        case_id = document.get("id")
        return {"id": case_id, "result": _result(_case(document))}
    except RouteSyntaxError as error:
        return {"id": case_id, "result": COMPILE_ERROR, "error": str(error)}
    except _LineError as error:
        return {"id": case_id, "error": str(error)}


def _result(case: Case) -> str:
    route = compile_entry("", case.route)
    if not route.takes_source(case.source):
        return NO_SOURCE
    truth = Truth.TRUE if route.condition is None else route.condition.evaluate(case.facts)
    return truth.value


def _parsed(line: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(line, parse_constant=_refuse_constant)
    except (ValueError, RecursionError) as error:
        raise _LineError(f"line; rule: a JSON object: {error}") from None
    if not isinstance(document, dict):
        raise _LineError("line; rule: a JSON object")
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _case(document: Mapping[str, Any]) -> Case:
    if "route" not in document:
        raise _LineError("route; rule: text, or an object with route")
    message = _object(document, "message")
    source = message.get("source") or DEVICE_MESSAGES
    if not isinstance(source, str):
        raise _LineError("message.source; rule: a path such as /messages/modules/m/outputs/o")
    system = {
        SYSTEM_NAMES.get(name, name.removeprefix("$")): value
        for name, value in _properties(message, "system_properties").items()
    }
    return Case(
        route=document["route"],
        source="/" + source.strip().removeprefix("/"),
        facts=MessageFacts(
            properties=_properties(message, "application_properties"),
            system=system,
            body=_body(message.get("body"), system),
        ),
    )


def _object(document: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    value = document.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise _LineError(f"{field}; rule: an object")
    return value


def _properties(message: Mapping[str, Any], field: str) -> dict[str, str | None]:
    values = _object(message, field)
    return {
        name: value if value is None or isinstance(value, str) else json.dumps(value)
        for name, value in values.items()
    }


def _body(value: Any, system: Mapping[str, str | None]) -> bytes:
    if value is None:
        return b""
    text = value if isinstance(value, str) else json.dumps(value)
    encodings = (encoding for name, encoding in system.items() if name.lower() == "contentencoding")
    codec = ENCODINGS.get((next(encodings, None) or "utf-8").lower(), "utf-8")
    return text.encode(codec, "surrogatepass")
