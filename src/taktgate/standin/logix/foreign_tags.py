"""Tags that a real controller has besides ours: a client has to find its own among them."""

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from taktgate.standin.logix.data_types import Atomic, DataType
from taktgate.standin.logix.structures import Part, lay_out
from taktgate.standin.logix.tag_table import PROGRAM_PREFIX, Access, Symbol, SystemType

MOST_FOREIGN_TAGS: Final = 5_000
PROGRAMS: Final = ("MainProgram", "Conveyor")
_EVERY_NTH_IN_A_PROGRAM: Final = 4

STRING: Final = lay_out(
    "ASCIISTRING82",
    (
        Part(name="LEN", type=Atomic.DINT),
        Part(name="DATA", type=Atomic.SINT, dimension=82),
    ),
    instance_id=0xFCE,
    handle=0x0FCE,
)
"""Template and handle of STRING are the same on every controller."""
MOTOR: Final = lay_out(
    "UDT_Motor",
    (
        Part(name="Run", type=Atomic.BOOL),
        Part(name="Tripped", type=Atomic.BOOL),
        Part(name="Speed", type=Atomic.REAL),
        Part(name="Starts", type=Atomic.INT),
        Part(name="Name", type=STRING),
        Part(name="History", type=Atomic.DINT, dimension=10),
    ),
    instance_id=0xE01,
)
CELL: Final = lay_out(
    "UDT_Cell",
    (
        Part(name="Id", type=Atomic.SINT),
        Part(name="Total", type=Atomic.LINT),
        Part(name="Motors", type=MOTOR, dimension=2),
        Part(name="Busy", type=Atomic.BOOL),
    ),
    instance_id=0xE02,
)

_KINDS: Final[tuple[tuple[str, DataType, int], ...]] = (
    ("Count", Atomic.DINT, 0),
    ("Pressure", Atomic.REAL, 0),
    ("Motor", MOTOR, 0),
    ("Start", Atomic.BOOL, 0),
    ("Recipe", Atomic.DINT, 20),
    ("Text", STRING, 0),
    ("Level", Atomic.INT, 0),
    ("Cell", CELL, 3),
    ("Energy", Atomic.LINT, 0),
    ("Flags", Atomic.DWORD, 2),
    ("Mode", Atomic.SINT, 0),
    ("Trend", Atomic.REAL, 50),
    ("Label", STRING, 4),
    ("Codes", Atomic.INT, 8),
)
_FIRST_INSTANCE: Final = 0x11
"""Ids on a controller have gaps and do not begin with 1."""
_INSTANCE_STEP: Final = 3


def among_foreign(symbols: Sequence[Symbol], count: int) -> tuple[Symbol, ...]:
    """Return *symbols* in the middle of *count* foreign tags, all with new instance ids.

    Each fourth foreign tag is in a program; the programs, their task and their routines are in the
    list too, as a controller has it. No name of ours is taken.

    Raises:
        ValueError: the count is out of its range.
    """
    if not 0 <= count <= MOST_FOREIGN_TAGS:
        raise ValueError(f"extra tags must be within 0..{MOST_FOREIGN_TAGS}, got {count}")
    if not count:
        return tuple(symbols)
    foreign = [_foreign(number) for number in range(count)]
    half = count // 2
    ids: dict[str, Iterator[int]] = {}
    return tuple(
        replace(symbol, instance_id=next(ids.setdefault(symbol.program, _ids())))
        for symbol in (*_project_tree(), *foreign[:half], *symbols, *foreign[half:])
    )


def _ids() -> Iterator[int]:
    return itertools.count(_FIRST_INSTANCE, _INSTANCE_STEP)


def _foreign(number: int) -> Symbol:
    kind, data_type, dimension = _KINDS[number % len(_KINDS)]
    in_program = number % _EVERY_NTH_IN_A_PROGRAM == 1
    return Symbol(
        instance_id=0,
        name=f"{kind}_{number:04d}",
        data_type=data_type,
        dimension=dimension,
        access=Access.READ_ONLY if kind == "Energy" else Access.READ_WRITE,
        program=PROGRAMS[number // len(_KINDS) % len(PROGRAMS)] if in_program else "",
    )


def _project_tree() -> Iterator[Symbol]:
    """Return what is no tag but stands in the list."""
    yield _entry("Map:Local", SystemType.MAP)
    yield _entry("Task:MainTask", SystemType.TASK)
    for program in PROGRAMS:
        yield _entry(PROGRAM_PREFIX + program, SystemType.PROGRAM)
        yield _entry("Routine:MainRoutine", SystemType.ROUTINE, program=program)


def _entry(name: str, system: SystemType, *, program: str = "") -> Symbol:
    return Symbol(instance_id=0, name=name, data_type=Atomic.DINT, system=system, program=program)
