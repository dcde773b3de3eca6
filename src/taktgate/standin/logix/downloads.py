"""What a programming engineer may do to the tags: a table goes in, the next one comes out."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from taktgate.standin.logix.data_types import Atomic, DataType, Field, Template, make_template
from taktgate.standin.logix.errors import DownloadError
from taktgate.standin.logix.tag_table import Access, Symbol

Symbols = tuple[Symbol, ...]

_NEW_TAG: Final = "AAA_New_Tag"
_NEW_MEMBER: Final = "NewMember"


class Change(StrEnum):
    """How the tags differ after a download."""

    NONE = "none"
    """Not at all; the change attributes of class 0xAC change all the same."""
    RENUMBER = "renumber"
    """Every instance id belongs to another tag."""
    ADD = "add"
    """A DINT (*tag*, or `AAA_New_Tag`) lies before all others, whose ids go up by one."""
    RETYPE = "retype"
    """*member* of the type of *tag*, or without one the tag itself, becomes a REAL if it is a DINT
    and a DINT if it is anything else."""
    DELETE = "delete"
    """*tag* is gone."""
    ACCESS = "access"
    """*tag* has External Access None."""
    RESHAPE = "reshape"
    """The type of *tag* has a new DINT before *member*, or before its first one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """One download: what changes, and on which tag and member."""

    change: Change
    tag: str = ""
    member: str = ""
    keeps_values: bool = True
    """False: all values are those of the project, here zero."""


def next_symbols(symbols: Sequence[Symbol], download: Download) -> Symbols:
    """Return the symbols after *download*.

    Raises:
        DownloadError: the tag or the member does not exist, or cannot be changed so.
    """
    return _CHANGES[download.change](tuple(symbols), download)


def _same(symbols: Symbols, _: Download) -> Symbols:
    return symbols


def _renumbered(symbols: Symbols, _: Download) -> Symbols:
    scopes: dict[str, list[int]] = {}
    for symbol in symbols:
        scopes.setdefault(symbol.program, []).append(symbol.instance_id)
    moved = {program: iter(ids[1:] + ids[:1]) for program, ids in scopes.items()}
    return tuple(replace(symbol, instance_id=next(moved[symbol.program])) for symbol in symbols)


def _with_new_tag(symbols: Symbols, download: Download) -> Symbols:
    taken = {symbol.path.lower() for symbol in symbols}
    name = download.tag or next(
        name
        for name in (f"{_NEW_TAG}{number or ''}" for number in range(len(taken) + 1))
        if name.lower() not in taken
    )
    if name.lower() in taken:
        raise DownloadError("tag", f"{name} is already there")
    lowest = min((symbol.instance_id for symbol in symbols if not symbol.program), default=1)
    moved = (
        symbol if symbol.program else replace(symbol, instance_id=symbol.instance_id + 1)
        for symbol in symbols
    )
    return (Symbol(instance_id=lowest, name=name, data_type=Atomic.DINT), *moved)


def _retyped(symbols: Symbols, download: Download) -> Symbols:
    symbol = _tag(symbols, download)
    if not download.member:
        return _exchanged(symbols, symbol, replace(symbol, data_type=_other(symbol.data_type)))
    template, field = _member(symbol, download)
    other = _other(field.type)
    if field.bit is not None or other.size_bytes != field.type.size_bytes:
        raise DownloadError("member", f"{field.name} must be a DINT or a REAL")
    fields = [replace(one, type=other) if one is field else one for one in template.fields]
    return _with_template(symbols, template, fields, template.size_bytes)


def _other(data_type: DataType) -> Atomic:
    return Atomic.REAL if data_type is Atomic.DINT else Atomic.DINT


def _without_tag(symbols: Symbols, download: Download) -> Symbols:
    gone = _tag(symbols, download)
    return tuple(symbol for symbol in symbols if symbol is not gone)


def _without_access(symbols: Symbols, download: Download) -> Symbols:
    symbol = _tag(symbols, download)
    return _exchanged(symbols, symbol, replace(symbol, access=Access.NONE))


def _reshaped(symbols: Symbols, download: Download) -> Symbols:
    symbol = _tag(symbols, download)
    template, before = _member(symbol, download)
    if _NEW_MEMBER.lower() in template.members:
        raise DownloadError("tag", f"{template.name} has been reshaped already")
    # A structure with a LINT is padded to 8 bytes, every other to 4 (1756-PM020).
    step = 8 if any(field.type is Atomic.LINT for field in template.fields) else 4
    kept = [field for field in template.fields if field.offset < before.offset]
    moved = [
        replace(field, offset=field.offset + step)
        for field in template.fields
        if field.offset >= before.offset
    ]
    added = Field(name=_NEW_MEMBER, type=Atomic.DINT, offset=before.offset)
    return _with_template(symbols, template, [*kept, added, *moved], template.size_bytes + step)


def _with_template(
    symbols: Symbols, template: Template, fields: Sequence[Field], size_bytes: int
) -> Symbols:
    changed = make_template(
        template.name, fields, instance_id=template.instance_id, size_bytes=size_bytes
    )
    return tuple(
        replace(symbol, data_type=changed) if symbol.data_type is template else symbol
        for symbol in symbols
    )


def _exchanged(symbols: Symbols, old: Symbol, new: Symbol) -> Symbols:
    return tuple(new if symbol is old else symbol for symbol in symbols)


def _tag(symbols: Symbols, download: Download) -> Symbol:
    for symbol in symbols:
        if symbol.path.lower() == download.tag.lower() and symbol.system is None:
            return symbol
    raise DownloadError("tag", f"{download.tag or 'none'} is no tag of the controller")


def _member(symbol: Symbol, download: Download) -> tuple[Template, Field]:
    template = symbol.data_type
    if not isinstance(template, Template):
        raise DownloadError("tag", f"{symbol.name} must be a structure")
    if not download.member:
        return template, template.fields[0]
    field = template.members.get(download.member.lower())
    if field is None:
        raise DownloadError("member", f"{download.member} is no member of {template.name}")
    return template, field


_CHANGES: Final[Mapping[Change, Callable[[Symbols, Download], Symbols]]] = MappingProxyType(
    {
        Change.NONE: _same,
        Change.RENUMBER: _renumbered,
        Change.ADD: _with_new_tag,
        Change.RETYPE: _retyped,
        Change.DELETE: _without_tag,
        Change.ACCESS: _without_access,
        Change.RESHAPE: _reshaped,
    }
)
