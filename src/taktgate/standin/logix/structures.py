"""Structures that are not in the contract: members in, a template laid out as Logix does out."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from taktgate.standin.logix.data_types import (
    Atomic,
    DataType,
    Field,
    Template,
    hidden_host,
    make_template,
)

_WORD_BYTES: Final = 4
_BITS_PER_HOST: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One member as the engineer writes it; where it lies follows from its place."""

    name: str
    type: DataType
    dimension: int = 0


def lay_out(
    name: str, parts: Sequence[Part], *, instance_id: int, handle: int | None = None
) -> Template:
    """Return the template of a structure of *parts*.

    A member lies on a multiple of its size, an array or a structure on one of 4; up to eight BOOLs
    in a row share a hidden SINT; the whole is padded to 4. A LINT inside makes that 8 (1756-PM020,
    "Structure data format").
    """
    fields: list[Field] = []
    end, bit = 0, 0
    for part in parts:
        if part.type is Atomic.BOOL:
            if not bit:
                fields.append(hidden_host(name, len(fields), end))
                end += 1
            fields.append(Field(name=part.name, type=Atomic.BOOL, offset=end - 1, bit=bit))
            bit = (bit + 1) % _BITS_PER_HOST
            continue
        bit = 0
        offset = _aligned(end, alignment(part.type, is_array=bool(part.dimension)))
        fields.append(
            Field(name=part.name, type=part.type, offset=offset, dimension=part.dimension)
        )
        end = offset + part.type.size_bytes * max(1, part.dimension)
    step = max([_WORD_BYTES, *(alignment(part.type) for part in parts)])
    return make_template(
        name, fields, instance_id=instance_id, size_bytes=_aligned(end, step), handle=handle
    )


def alignment(data_type: DataType, *, is_array: bool = False) -> int:
    """Return what the offset of a member of this type is a multiple of."""
    if isinstance(data_type, Template):
        return max([_WORD_BYTES, *(alignment(field.type) for field in data_type.fields)])
    return max(_WORD_BYTES, data_type.size_bytes) if is_array else data_type.size_bytes


def _aligned(offset: int, step: int) -> int:
    return -(-offset // step) * step
