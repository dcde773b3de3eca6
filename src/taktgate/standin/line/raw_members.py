"""Members of a logged write, by the offsets of the tag table: the audit's own way of reading."""

import struct

from taktgate.plc.contract.tags import Member, Udt


def number(udt: Udt, content: bytes, name: str) -> int:
    """Return a DINT member."""
    return int(struct.unpack_from("<i", content, _member(udt, name).offset)[0])


def flag(udt: Udt, content: bytes, name: str) -> bool:
    """Return a BOOL member."""
    member = _member(udt, name)
    if member.bit is None:
        raise ValueError(f"{name} is no BOOL")
    return bool(content[member.offset] & (1 << member.bit))


_MEMBERS: dict[str, dict[str, Member]] = {}
"""Of each type that was asked for: a long run asks for the same few, some 10^8 times."""


def _member(udt: Udt, name: str) -> Member:
    members = _MEMBERS.get(udt.name)
    if members is None:
        members = _MEMBERS[udt.name] = {member.name: member for member in udt.members}
    return members[name]
