"""The tags that the ladder routine runs on, as `rll` holds them: fresh, as after a download."""

from collections.abc import Callable
from functools import partial
from typing import Any

from taktgate.plc.contract.tags import RESULT, Udt
from taktgate.plc.ladder.gate_operands import PART_MEMBERS, PART_TYPE, Operands
from taktgate.plc.ladder.gate_program import program_tags
from taktgate.standin.line.rll import Memory, timer


def contract_memory(names: Operands) -> Memory:
    """Return the tags between controller and writer, all zero."""
    return {
        tag.name: _array(tag.dimension, partial(_zero, tag.type)) for tag in names.contract_tags
    }


def program_memory(names: Operands) -> Memory:
    """Return the routine's own tags, and the controller's word that this is a first scan."""
    own = {
        tag.name: _array(tag.dimension, partial(_fresh, tag.type, tag.preset_ms))
        for tag in program_tags(names)
    }
    return {**own, "S:FS": True}


def _array(dimension: int, element: Callable[[], Any]) -> Any:
    return [element() for _ in range(dimension)] if dimension else element()


def _zero(kind: object) -> Any:
    return {member.name: 0 for member in kind.members} if isinstance(kind, Udt) else 0


def _fresh(kind: str, preset_ms: int) -> Any:
    if kind == PART_TYPE:
        return {each.name: _fresh(each.type, 0) for each in PART_MEMBERS}
    if kind == RESULT.name:
        return _zero(RESULT)
    return timer(preset_ms) if kind == "TIMER" else 0
