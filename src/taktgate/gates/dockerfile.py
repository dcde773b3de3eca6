"""Dockerfiles and .dockerignore files, read as far as the image gate needs them."""

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_COPY_FROM = re.compile(r"--from=\S+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Instruction:
    """One instruction of a Dockerfile, its continuation lines joined."""

    keyword: str
    value: str


def read_dockerfile(text: str) -> tuple[Instruction, ...]:
    """Return the instructions of a Dockerfile, without comments."""
    lines = [line for line in text.splitlines() if line.strip() and line.lstrip()[0] != "#"]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    parts = (line.split(maxsplit=1) for line in joined.splitlines())
    return tuple(
        Instruction(keyword=part[0].upper(), value=part[1] if len(part) > 1 else "")
        for part in parts
    )


def arguments_of(instructions: Iterable[Instruction]) -> dict[str, str]:
    """Return the default of each ARG; an ARG without one is empty."""
    declared = (i.value.partition("=") for i in instructions if i.keyword == "ARG")
    return {name: default.strip('"') for name, _, default in declared}


def without_defaults(instructions: Iterable[Instruction]) -> tuple[Instruction, ...]:
    """Return *instructions* with every ARG reduced to its name: what two variants must share."""
    return tuple(
        Instruction(keyword=i.keyword, value=i.value.partition("=")[0]) if i.keyword == "ARG" else i
        for i in instructions
    )


def copied_from_context(instructions: Sequence[Instruction]) -> tuple[str, ...]:
    """Return the sources that the build takes from its context, ARG defaults filled in."""
    arguments = arguments_of(instructions)
    found: list[str] = []
    for instruction in instructions:
        if instruction.keyword in {"COPY", "ADD"} and not _COPY_FROM.search(instruction.value):
            words = [word for word in instruction.value.split() if not word.startswith("--")]
            found.extend(_VARIABLE.sub(lambda m: arguments[m[1]], word) for word in words[:-1])
    return tuple(found)


def is_in_context(path: str, ignore: str) -> bool:
    """Tell whether *path* survives the .dockerignore text *ignore*: the last match decides."""
    kept = True
    for line in ignore.splitlines():
        pattern = line.strip()
        if not pattern or pattern.startswith("#"):
            continue
        is_exception = pattern.startswith("!")
        if _matches(path, pattern.removeprefix("!").strip("/")):
            kept = is_exception
    return kept


def _matches(path: str, pattern: str) -> bool:
    """Tell whether *pattern* names *path* or a folder above it, by Docker's rules."""
    pure = PurePosixPath(path)
    candidates = [pure, *(parent for parent in pure.parents if parent.parts)]
    return any(_names(candidate.parts, pattern.split("/")) for candidate in candidates)


def _names(parts: Sequence[str], patterns: Sequence[str]) -> bool:
    if not patterns:
        return not parts
    if patterns[0] == "**":
        return any(_names(parts[skip:], patterns[1:]) for skip in range(len(parts) + 1))
    return (
        bool(parts)
        and fnmatch.fnmatchcase(parts[0], patterns[0])
        and _names(parts[1:], patterns[1:])
    )
