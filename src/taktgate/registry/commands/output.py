"""What the commands print: results on stdout, readable or as JSON; the rest on stderr."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What a command has to say.

    Attributes:
        document: As JSON.
        lines: The same for people.
        code: The exit code.
    """

    document: dict[str, Any]
    lines: Sequence[str]
    code: int = 0


def show(result: Result, *, as_json: bool) -> None:
    """Print *result*."""
    if as_json:
        sys.stdout.write(json.dumps(result.document, indent=2) + "\n")
        return
    sys.stdout.write("".join(f"{line}\n" for line in result.lines))


def progress(line: str) -> None:
    """Say on stderr what is going on."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
