"""A ladder interpreter: runs rungs of Rockwell's neutral text as a controller would.

It exists so that the routine that engineers import (`plc/ladder/gate_program.py`) is executed and
compared with the stand-in's program. Only the instructions that the routine uses are known, after
1756-RM003 (general instructions): XIC XIO OTE OTL OTU ONS TON RES EQU NEQ GEQ LIM MOV ADD SUB AND
CPS.
"""

import copy
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

_INSTRUCTION: Final = re.compile(r"\s*([A-Z]+)\(([^()]*)\)")
_PATH: Final = re.compile(r"([A-Za-z_:][\w:]*)|\[([^\]]+)\]")
_BIT: Final = re.compile(r"(.+)\.(\d+)")
"""One bit of a DINT: `Name[3].0`."""
Memory = dict[str, Any]
_once: Final = lru_cache(maxsize=4096)
"""For what is read off an operand's text: the same operands come back with each scan."""


class LadderError(ValueError):
    """A rung is not of the language, or names what is not there."""


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction with its operands as they are written."""

    name: str
    operands: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Branch:
    """Legs in parallel: power flows on if it flows through one of them."""

    legs: tuple["Logic", ...]


Logic = tuple[Instruction | Branch, ...]


@lru_cache(maxsize=1024)
def parse(text: str) -> Logic:
    """Parse one rung.

    Raises:
        LadderError: the text is no rung of the known instructions.
    """
    logic, end = _series(text, 0)
    if text[end:].strip() != ";":
        raise LadderError(f"rung ends with {text[end : end + 20]!r}; rule: one ';'")
    return logic


def _series(text: str, at: int) -> tuple[Logic, int]:
    parts: list[Instruction | Branch] = []
    while True:
        found = _INSTRUCTION.match(text, at)
        if found is not None:
            operands = tuple(each.strip() for each in found[2].split(","))
            if found[1] not in _INSTRUCTIONS:
                raise LadderError(f"{found[1]}: is not known here")
            parts.append(Instruction(found[1], operands))
            at = found.end()
        elif text[at:].lstrip().startswith("["):
            branch, at = _branch(text, text.index("[", at) + 1)
            parts.append(branch)
        else:
            return tuple(parts), at


def _branch(text: str, at: int) -> tuple[Branch, int]:
    legs = []
    while True:
        leg, at = _series(text, at)
        legs.append(leg)
        rest = text[at:].lstrip()
        at = len(text) - len(rest) + 1
        if rest.startswith("]"):
            return Branch(tuple(legs)), at
        if not rest.startswith(","):
            raise LadderError(f"branch goes on with {rest[:20]!r}; rule: ',' or ']'")


def _operands(logic: Logic) -> Iterator[tuple[str, str]]:
    """Yield each instruction's name and first operand."""
    for part in logic:
        if isinstance(part, Branch):
            for leg in part.legs:
                yield from _operands(leg)
        else:
            yield part.name, part.operands[0]


class Routine:
    """A ladder routine on a memory of tags: BOOL, int and float, structures as dicts, arrays."""

    def __init__(self, rungs: Sequence[str], memory: Memory) -> None:
        self.memory = memory
        self._rungs = tuple(map(parse, rungs))
        self._now_ms = 0
        self._scanned_ms: dict[int, int] = {}

    def prescan(self) -> None:
        """Do what a controller does before the first scan after power-up or Program mode.

        Prescan of 1756-RM003: OTE clears its bit, ONS sets its storage bit so that an input that is
        on already is no edge, TON is reset. Everything else keeps what it holds.
        """
        for logic in self._rungs:
            for name, operand in _operands(logic):
                if name in _PRESCAN:
                    _PRESCAN[name](self, operand)

    def scan(self, now_ms: int) -> None:
        """Run all rungs once, top to bottom, at *now_ms*."""
        self._now_ms = now_ms
        for logic in self._rungs:
            self._run(logic, power=True)

    def _run(self, logic: Logic, *, power: bool) -> bool:
        for part in logic:
            if isinstance(part, Branch):
                flows = [self._run(leg, power=power) for leg in part.legs]
                power = any(flows)
            else:
                power = _INSTRUCTIONS[part.name](self, power, *part.operands)
        return power

    def value(self, operand: str) -> Any:
        """Return the value of an operand: a number, or what a tag holds.

        Raises:
            LadderError: there is no such tag.
        """
        number = _number(operand)
        if number is not None:
            return number
        word, bit = _word(operand)
        place, key = self._place(word)
        return place[key] if bit is None else place[key] >> bit & 1

    def store(self, operand: str, value: Any) -> None:
        """Put *value* into a tag.

        Raises:
            LadderError: there is no such tag.
        """
        word, bit = _word(operand)
        place, key = self._place(word)
        if bit is None:
            place[key] = value
        else:
            place[key] = place[key] & ~(1 << bit) | bool(value) << bit

    def _place(self, operand: str) -> tuple[Any, Any]:
        keys = [name or int(self.value(index)) for name, index in _path(operand)]
        place: Any = self.memory
        try:
            for key in keys[:-1]:
                place = place[key]
            place[keys[-1]]
        except (KeyError, IndexError, TypeError):
            raise LadderError(f"{operand}: there is no such tag") from None
        return place, keys[-1]

    def time(self, power: bool, timer: str) -> bool:
        """Run a TON: it counts while power flows, and is reset when it does not.

        Raises:
            LadderError: its preset is negative, which stops a controller (major fault 4, code 34).
        """
        state = self.value(timer)
        if state["PRE"] < 0:
            raise LadderError(f"{timer}: preset is negative: major fault, type 4, code 34")
        last_ms = self._scanned_ms.get(id(state), self._now_ms)
        self._scanned_ms[id(state)] = self._now_ms
        if not power:
            state.update(EN=False, ACC=0, DN=False)
            return power
        state["ACC"] = state["ACC"] + self._now_ms - last_ms if state["EN"] else 0
        state.update(EN=True, DN=state["ACC"] >= state["PRE"])
        return power


@_once
def _number(operand: str) -> int | None:
    """Return the number that *operand* is, or None when it is a tag."""
    try:
        return int(operand)
    except ValueError:
        return None


@_once
def _word(operand: str) -> tuple[str, int | None]:
    """Return the tag of *operand*, and which of its bits is meant if it is one."""
    found = _BIT.fullmatch(operand)
    return (operand, None) if found is None else (found[1], int(found[2]))


@_once
def _path(operand: str) -> tuple[tuple[str, str], ...]:
    """Return the steps to the tag *operand*: each a name, or an operand that is an index."""
    return tuple(_PATH.findall(operand))


def timer(preset_ms: int = 0) -> Memory:
    """Return a timer that has not run."""
    return {"PRE": preset_ms, "ACC": 0, "EN": False, "DN": False}


def _out(change: Callable[[Routine, bool, str], None]) -> Callable[..., bool]:
    def run(routine: Routine, power: bool, operand: str) -> bool:
        change(routine, power, operand)
        return power

    return run


def _when(work: Callable[..., None]) -> Callable[..., bool]:
    def run(routine: Routine, power: bool, *operands: str) -> bool:
        if power:
            work(routine, *operands)
        return power

    return run


def _one_shot(routine: Routine, power: bool, storage: str) -> bool:
    was_on = routine.value(storage)
    routine.store(storage, power)
    return power and not was_on


def _limit(routine: Routine, power: bool, low: str, tested: str, high: str) -> bool:
    return power and routine.value(low) <= routine.value(tested) <= routine.value(high)


def _reset(routine: Routine, operand: str) -> None:
    routine.value(operand).update(ACC=0, EN=False, DN=False)


def _calculate(work: Callable[[int, int], int]) -> Callable[..., bool]:
    return _when(
        lambda routine, a, b, to: routine.store(to, work(routine.value(a), routine.value(b)))
    )


def _compare(test: Callable[[Any, Any], bool]) -> Callable[..., bool]:
    return lambda routine, power, a, b: power and test(routine.value(a), routine.value(b))


_INSTRUCTIONS: Final[Mapping[str, Callable[..., bool]]] = {
    "XIC": lambda routine, power, bit: power and bool(routine.value(bit)),
    "XIO": lambda routine, power, bit: power and not routine.value(bit),
    "OTE": _out(lambda routine, power, bit: routine.store(bit, power)),
    "OTL": _when(lambda routine, bit: routine.store(bit, True)),
    "OTU": _when(lambda routine, bit: routine.store(bit, False)),
    "ONS": _one_shot,
    "TON": lambda routine, power, timer, _preset, _accumulated: routine.time(power, timer),
    "RES": _when(_reset),
    "EQU": _compare(lambda a, b: a == b),
    "NEQ": _compare(lambda a, b: a != b),
    "GEQ": _compare(lambda a, b: a >= b),
    "LIM": _limit,
    "MOV": _when(lambda routine, value, to: routine.store(to, routine.value(value))),
    "ADD": _calculate(lambda a, b: a + b),
    "SUB": _calculate(lambda a, b: a - b),
    "AND": _calculate(lambda a, b: a & b),
    "CPS": _when(
        lambda routine, source, to, _length: routine.store(to, copy.copy(routine.value(source)))
    ),
}

_PRESCAN: Final[Mapping[str, Callable[[Routine, str], None]]] = {
    "OTE": lambda routine, bit: routine.store(bit, False),
    "ONS": lambda routine, storage: routine.store(storage, True),
    "TON": _reset,
}
