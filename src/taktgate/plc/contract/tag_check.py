"""Holds the tag definitions that a controller reports against the tag table."""

from collections.abc import Mapping
from typing import Any, Final

from taktgate.plc.contract.tags import TAGS, Member, Tag
from taktgate.plc.errors import ContractMismatchError

Definitions = Mapping[str, Mapping[str, Any]]
"""Tag definitions by name, in the shape of `pycomm3.LogixDriver.tags`."""

_READABLE: Final = {"Read/Write", "Read Only"}
_WRITABLE: Final = {"Read/Write"}


def check_tags(definitions: Definitions) -> None:
    """Accept *definitions* when each tag of the table is there with exactly our layout.

    A whole UDT is written as bytes: a moved, retyped or additional member would be hit blindly.

    Raises:
        ContractMismatchError: names the tag, the member and the rule.
    """
    for tag in TAGS:
        definition = definitions.get(tag.name)
        if definition is None:
            raise ContractMismatchError(tag.name, "", "must exist at controller scope")
        _check_tag(tag, definition)
        _check_members(tag, definition["data_type"])


def _check_tag(tag: Tag, definition: Mapping[str, Any]) -> None:
    if definition["tag_type"] != "struct":
        raise ContractMismatchError(tag.name, "", f"must be a {tag.udt.name}")
    found = list(definition["dimensions"][: definition["dim"]])
    if found != ([tag.dimension] if tag.dimension else []):
        raise ContractMismatchError(tag.name, "", f"must have dimension {tag.dimension}")
    access = definition["external_access"]
    if access not in (_WRITABLE if tag.written_by == "vision" else _READABLE):
        raise ContractMismatchError(tag.name, "", f"external access is {access!r}")


def _check_members(tag: Tag, data_type: Mapping[str, Any]) -> None:
    size = data_type["template"]["structure_size"]
    if size != tag.udt.size:
        raise ContractMismatchError(
            tag.name, "", f"{tag.udt.name} must have {tag.udt.size} bytes, has {size}"
        )
    for member in tag.udt.members:
        found = data_type["internal_tags"].get(member.name)
        if found is None:
            raise ContractMismatchError(tag.name, member.name, "must exist")
        _check_member(tag, member, found)
    known = {member.name for member in tag.udt.members}
    for name in data_type["attributes"]:
        if name not in known:
            raise ContractMismatchError(tag.name, name, "must not exist")


def _check_member(tag: Tag, member: Member, found: Mapping[str, Any]) -> None:
    if found["data_type_name"] != member.type or found.get("array"):
        raise ContractMismatchError(tag.name, member.name, f"must be a {member.type}")
    if (found["offset"], found.get("bit")) != (member.offset, member.bit):
        place = f"offset {member.offset}" + ("" if member.bit is None else f" bit {member.bit}")
        raise ContractMismatchError(tag.name, member.name, f"must lie at {place}")
