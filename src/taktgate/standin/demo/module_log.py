"""A module's log, read from outside: which of its processes ended, and what it complains of."""

import contextlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taktgate.edge.supervisor import CHILD_ENDED

_LINE: Final = re.compile(r"<\d> \S+ \S+ \S+ \[(?P<level>[A-Z]{3})\] \[[^\]]*\] - (?P<text>.*)")
_GRAVE: Final = ("CRT", "ERR")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChildEnd:
    """A process that ended under its supervisor."""

    role: str
    exit_code: int


class ModuleLog:
    """The log file of one module, as far as it has been read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def new_ends(self) -> list[ChildEnd]:
        """Return the ends that the supervisor has logged since the last call."""
        content = b""
        with contextlib.suppress(FileNotFoundError), self._path.open("rb") as file:
            file.seek(self._offset)
            content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        self._offset += len(whole)
        return [end for line in whole.decode(errors="replace").splitlines() for end in _ends(line)]

    def complaint(self) -> str:
        """Return the last grave line: a critical one if there is any, and not the supervisor's."""
        if not self._path.exists():
            return "it has written no log"
        text = self._path.read_text(encoding="utf-8", errors="replace")
        matches = [match for line in text.splitlines() if (match := _LINE.fullmatch(line))]
        for level in _GRAVE:
            said = [match["text"] for match in matches if match["level"] == level]
            said = [line for line in said if not line.startswith(CHILD_ENDED)]
            if said:
                return said[-1]
        return "its log does not say why"


def _ends(line: str) -> list[ChildEnd]:
    match = _LINE.fullmatch(line)
    if match is None or not match["text"].startswith(CHILD_ENDED):
        return []
    facts = json.loads(match["text"].removeprefix(CHILD_ENDED))
    return [ChildEnd(role=facts["role"], exit_code=facts["exit_code"])]
