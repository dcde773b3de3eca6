"""Proof that the recording is what the kernel was asked for: strace watches the same process.

A scenario is recorded in a process of its own under strace(1). What the kernel was asked to change
below the station's folder, call by call in its order, must be what the recorder has written down.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from crash_campaign.recording import record
from crash_campaign.scenarios import SCENARIOS
from crash_campaign.world import World
from taktgate.standin.recorded_files import Call, Kind

SCENARIO: Final = "resumed"
"""A download taken up again: every kind of call is in it but the removal of a slot."""
_LIMIT_S: Final = 300
_SYSTEM_CALLS: Final = (
    "open,openat,creat,write,pwrite64,writev,pwritev,sendfile,copy_file_range,truncate,ftruncate,"
    "fallocate,fsync,fdatasync,sync_file_range,rename,renameat,renameat2,unlink,unlinkat,mkdir,"
    "mkdirat,rmdir,link,linkat,symlink,symlinkat"
)
_LINE: Final = re.compile(r"^(\d+) +(\w+)\((.*)\) += (-?\d+)")
_BEGUN: Final = re.compile(r"^(\d+) +(\w+\(.*) <unfinished \.\.\.>$")
_RESUMED: Final = re.compile(r"^(\d+) +<\.\.\. \w+ resumed>(.*)$")
_QUOTED: Final = re.compile(r'"([^"]*)"')
_OF_DESCRIPTOR: Final = re.compile(r"^\d+<([^>]*)>")
_MARKS: Final = ("recording-begins", "recording-ends")

Entry = tuple[str, str, str, int]
"""Kind, path, new path, and the bytes of a write."""


def prove(folder: Path) -> str | None:
    """Record SCENARIO under strace; return what does not match, None when all does.

    Raises:
        RuntimeError: the process under strace has failed.
    """
    log, calls = folder / "strace.log", folder / "calls.json"
    command = ["strace", "-f", "-y", "-s", "0", "-e", f"trace={_SYSTEM_CALLS}", "-o", str(log)]
    command += [sys.executable, "-m", "crash_campaign", "--record", str(calls)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"strace: {done.stderr[-600:]}")
    told = json.loads(calls.read_text(encoding="utf-8"))
    recorded = [tuple(each) for each in told["calls"]]
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    return difference(recorded, list(asked(lines, told["root"])))


def is_possible() -> bool:
    """Tell whether strace is at hand."""
    return shutil.which("strace") is not None


def record_to(path: Path) -> None:
    """Record SCENARIO, and write what was recorded into *path*."""
    scenario = next(each for each in SCENARIOS if each.name == SCENARIO)
    folder = path.parent / "recorded"
    world = World(folder / "world")
    root = folder / scenario.name
    scenario.lay_out(root, world)
    _mark(_MARKS[0])
    recording = record(scenario, root, world)
    _mark(_MARKS[1])
    calls = [entry(call) for call in recording.calls if call.kind is not Kind.CLOSE]
    path.write_text(json.dumps({"root": str(root), "calls": calls}), encoding="utf-8")


def _mark(name: str) -> None:
    """Leave a word in strace's log."""
    with suppress(FileNotFoundError):
        os.close(os.open(f"/{name}", os.O_RDONLY))


def entry(call: Call) -> Entry:
    """Return *call* as it is compared."""
    size = len(call.data) if call.kind is Kind.WRITE else 0
    return (str(call.kind), call.path, call.to, size)


def difference(recorded: Sequence[object], kernel: Sequence[object]) -> str | None:
    """Return where the two lists part, None when they are the same."""
    for number in range(max(len(recorded), len(kernel))):
        ours = recorded[number] if number < len(recorded) else "nothing"
        theirs = kernel[number] if number < len(kernel) else "nothing"
        if ours != theirs:
            return f"call {number}: recorded {ours}, the kernel was asked for {theirs}"
    return None if recorded else "nothing was recorded"


def asked(lines: Sequence[str], root: str) -> Iterator[Entry]:
    """Yield what strace's *lines* say of changes below *root* between the two marks."""
    is_on, reader = False, _Reader()
    for line in _whole(lines):
        if _MARKS[0] in line or _MARKS[1] in line:
            is_on = _MARKS[0] in line
            continue
        found = _LINE.match(line)
        if is_on and found is not None and int(found[4]) >= 0:
            its = _asked_of(found, root)
            yield from () if its is None else reader.entries(its)


def _whole(lines: Sequence[str]) -> Iterator[str]:
    """Yield the lines, those that another thread broke in two put together."""
    begun: dict[str, str] = {}
    for line in lines:
        if (start := _BEGUN.match(line)) is not None:
            begun[start[1]] = start[2]
        elif (end := _RESUMED.match(line)) is not None:
            yield f"{end[1]} {begun.pop(end[1], '')}{end[2]}"
        else:
            yield line


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """One system call on something below the station's folder."""

    name: str
    arguments: str
    result: int
    path: str
    to: str


def _asked_of(found: re.Match[str], root: str) -> _Asked | None:
    arguments = found[3]
    paths = [path for path in _QUOTED.findall(arguments) if path]
    held = _OF_DESCRIPTOR.match(arguments)
    path = _below(held[1] if held is not None else (paths[0] if paths else ""), root)
    if path is None:
        return None
    to = (_below(paths[-1], root) or "") if found[2].startswith("rename") else ""
    return _Asked(name=found[2], arguments=arguments, result=int(found[4]), path=path, to=to)


class _Reader:
    """Reads system calls as calls of the port."""

    def __init__(self) -> None:
        self._folders: set[str] = set()

    def entries(self, its: _Asked) -> Iterator[Entry]:
        """Yield what *its* is: nothing, for one that changes nothing or is half of another."""
        if its.name in ("open", "openat", "creat"):
            yield from self._opened(its)
        elif its.name == "write":
            yield (Kind.WRITE, its.path, "", its.result)
        elif its.name != "ftruncate":  # that is half of an extend
            yield (self._kind(its), its.path, its.to, 0)

    def _opened(self, its: _Asked) -> Iterator[Entry]:
        if "O_DIRECTORY" in its.arguments:
            self._folders.add(its.path)
        elif "O_CREAT" in its.arguments or its.name == "creat":
            yield (Kind.CREATE, its.path, "", 0)
        elif "O_WRONLY" in its.arguments or "O_RDWR" in its.arguments:
            yield (Kind.EXTEND, its.path, "", 0)

    def _kind(self, its: _Asked) -> str:
        """Return the kind of a call that is one call of the port; its own name if it is none."""
        is_of_folder = "AT_REMOVEDIR" in its.arguments or its.path in self._folders
        kinds: dict[str, Kind] = {
            "fsync": Kind.SYNC_FOLDER if its.path in self._folders else Kind.SYNC,
            "unlink": Kind.UNLINK,
            "unlinkat": Kind.REMOVE_FOLDER if is_of_folder else Kind.UNLINK,
            "rmdir": Kind.REMOVE_FOLDER,
            **dict.fromkeys(("rename", "renameat", "renameat2"), Kind.RENAME),
            **dict.fromkeys(("mkdir", "mkdirat"), Kind.MAKE_FOLDER),
        }
        return kinds.get(its.name, its.name)


def _below(path: str, root: str) -> str | None:
    if path == root:
        return ""
    return path[len(root) + 1 :] if path.startswith(root + "/") else None
