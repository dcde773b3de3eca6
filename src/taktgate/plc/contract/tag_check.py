"""Holds the tag definitions that a controller reports against the tag table."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from taktgate.plc.contract.tags import TAGS, Member, Tag, Udt
from taktgate.plc.errors import ContractMismatchError

Definitions = Mapping[str, Mapping[str, Any]]
"""Tag definitions by name, in the shape of `pycomm3.LogixDriver.tags`."""

_WRITABLE: Final = {"Read/Write", "Unknown"}
"""Firmware before 18 has no external access, and everybody may write; a refused write says so."""
_READABLE: Final = {*_WRITABLE, "Read Only"}


def check_tags(definitions: Definitions, tags: Sequence[Tag] = TAGS) -> None:
    """Accept *definitions* when each of *tags* is there with exactly our layout.

    A whole UDT is written as bytes: a moved, retyped or additional member would be hit blindly.

    Raises:
        ContractMismatchError: names the tag, the member and the rule of the first difference.
    """
    for difference in differences(definitions, tags):
        raise difference


def differences(
    definitions: Definitions, tags: Sequence[Tag] = TAGS
) -> Iterator[ContractMismatchError]:
    """Return every way in which *definitions* are not *tags*, in the order of the table.

    Definitions of a shape that pycomm3 never reports raise KeyError or TypeError.
    """
    for tag in tags:
        definition = definitions.get(tag.name)
        if definition is None:
            yield ContractMismatchError(tag.name, "", "must exist at controller scope")
            continue
        yield from _tag_differences(tag, definition)
        if isinstance(tag.type, Udt) and definition["tag_type"] == "struct":
            yield from _type_differences(tag, definition["data_type"])


def _tag_differences(tag: Tag, definition: Mapping[str, Any]) -> Iterator[ContractMismatchError]:
    if isinstance(tag.type, Udt):
        if definition["tag_type"] != "struct":
            yield ContractMismatchError(tag.name, "", f"must be a {tag.type.name}")
    elif definition["data_type_name"] != tag.type:
        found = definition["data_type_name"]
        yield ContractMismatchError(tag.name, "", f"must be a {tag.type}, is a {found}")
    dimensions = list(definition["dimensions"][: definition["dim"]])
    if dimensions != ([tag.dimension] if tag.dimension else []):
        yield ContractMismatchError(tag.name, "", f"must have dimension {tag.dimension}")
    access = definition["external_access"]
    if access not in (_WRITABLE if tag.written_by == "vision" else _READABLE):
        yield ContractMismatchError(tag.name, "", f"external access is {access!r}")


def _type_differences(tag: Tag, data_type: Mapping[str, Any]) -> Iterator[ContractMismatchError]:
    size = data_type["template"]["structure_size"]
    if size != tag.udt.size:
        yield ContractMismatchError(
            tag.name, "", f"{tag.udt.name} must have {tag.udt.size} bytes, has {size}"
        )
    for member in tag.udt.members:
        found = data_type["internal_tags"].get(member.name)
        if found is None:
            yield ContractMismatchError(tag.name, member.name, "must exist")
        else:
            yield from _member_differences(tag, member, found)
    known = {member.name for member in tag.udt.members}
    for name in data_type["attributes"]:
        if name not in known:
            yield ContractMismatchError(tag.name, name, "must not exist")


def _member_differences(
    tag: Tag, member: Member, found: Mapping[str, Any]
) -> Iterator[ContractMismatchError]:
    if found["data_type_name"] != member.type or found.get("array"):
        yield ContractMismatchError(tag.name, member.name, f"must be a {member.type}")
    if (found["offset"], found.get("bit")) != (member.offset, member.bit):
        place = f"offset {member.offset}" + ("" if member.bit is None else f" bit {member.bit}")
        yield ContractMismatchError(tag.name, member.name, f"must lie at {place}")
