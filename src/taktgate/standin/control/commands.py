"""Commands as they come in, and the fields in them, checked."""

import json
from collections.abc import Collection, Mapping
from typing import Any

Event = dict[str, Any]
Command = Mapping[str, Any]


class ControlError(ValueError):
    """A command breaks a rule; the reply names field and rule."""

    def __init__(self, field: str, rule: str) -> None:
        super().__init__(f"{field}: {rule}")
        self.field = field
        self.rule = rule


def parse_command(line: bytes) -> Command:
    """Return the command in one line.

    Raises:
        ControlError: it is no JSON object with a text field `do`.
    """
    try:
        command = json.loads(line)
    except ValueError as error:
        raise ControlError("line", "must be one JSON object") from error
    if not isinstance(command, dict) or not isinstance(command.get("do"), str):
        raise ControlError("do", "must name what to do")
    return command


def check_fields(command: Command, allowed: Collection[str]) -> None:
    """Refuse fields that the command does not know.

    Raises:
        ControlError: there is one.
    """
    for field in command:
        if field not in allowed and field not in ("do", "id"):
            raise ControlError(
                field, f"unknown; {command['do']} knows {', '.join(sorted(allowed))}"
            )


def number(command: Command, field: str, *, at_least: float, at_most: float) -> float:
    """Return a number from *command*.

    Raises:
        ControlError: it is missing, no number, or out of range.
    """
    value = command.get(field)
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise ControlError(field, "must be a number")
    if not at_least <= value <= at_most:
        raise ControlError(field, f"must be a number within {at_least:g}..{at_most:g}")
    return float(value)


def flag(command: Command, field: str) -> bool:
    """Return a truth value from *command*.

    Raises:
        ControlError: it is missing or neither true nor false.
    """
    value = command.get(field)
    if not isinstance(value, bool):
        raise ControlError(field, "must be true or false")
    return value
