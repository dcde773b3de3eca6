"""The contract as an L5X that Studio 5000 imports: types, tags and the gate routine in one file.

Structure after 1756-RM084 (import/export): a routine export with its context, so that importing it
brings the types and the controller tags along.
"""

from dataclasses import dataclass
from typing import Final
from xml.dom.minidom import Document, Element

from taktgate.plc.contract.tags import TAGS, CipType, Udt
from taktgate.plc.ladder.gate_program import (
    PART_MEMBERS,
    PART_TYPE,
    PROGRAM_TAGS,
    ROUTINE,
    ProgramTag,
    Rung,
    rungs,
)

SOFTWARE_REVISION: Final = "33.01"
PROGRAM: Final = "MainProgram"
_BITS_PER_HOST: Final = 8
_RADIX: Final = {"REAL": "Float", "TIMER": "NullType"}
_TIMER_MEMBERS: Final = (
    ("PRE", "DINT"),
    ("ACC", "DINT"),
    ("EN", "BOOL"),
    ("TT", "BOOL"),
    ("DN", "BOOL"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """One member of a type in the file; *bit* and *host* say where a BOOL lies."""

    name: str
    type: str
    meaning: str = ""
    host: str = ""
    bit: int = 0

    @property
    def is_host(self) -> bool:
        """Tell whether this is a hidden SINT that holds BOOLs."""
        return self.type == "SINT"


def fields_of(name: str, members: tuple[tuple[str, str, str], ...]) -> tuple[Field, ...]:
    """Return the fields of type *name*, with a hidden host before each run of up to eight BOOLs.

    Args:
        name: The type's name; a host is called `ZZZZZZZZZZ`, ten of its characters and a number.
        members: Name, type and meaning of each.
    """
    fields: list[Field] = []
    bits, host = 0, ""
    for member, kind, meaning in members:
        if kind != "BOOL":
            host = ""
            fields.append(Field(name=member, type=kind, meaning=meaning))
            continue
        if not host or bits == _BITS_PER_HOST:
            host, bits = f"ZZZZZZZZZZ{name[:10]}{len(fields)}", 0
            fields.append(Field(name=host, type="SINT"))
        fields.append(Field(name=member, type="BIT", meaning=meaning, host=host, bit=bits))
        bits += 1
    return tuple(fields)


def data_types() -> dict[str, tuple[Field, ...]]:
    """Return the fields of every type in the file, by its name."""
    types = {tag.udt.name: fields_of(tag.udt.name, _members(tag.udt)) for tag in TAGS}
    part = tuple((each.name, each.type, each.meaning) for each in PART_MEMBERS)
    return {**types, PART_TYPE: fields_of(PART_TYPE, part)}


def _members(udt: Udt) -> tuple[tuple[str, str, str], ...]:
    return tuple((each.name, str(each.type), each.meaning) for each in udt.members)


def to_l5x() -> str:
    """Return the file's text."""
    return _Export().document.toprettyxml(indent=" ", encoding="UTF-8").decode()


class _Export:
    def __init__(self) -> None:
        self.document = Document()
        self._types = data_types()
        root = self._add(
            self.document,
            "RSLogix5000Content",
            SchemaRevision="1.0",
            SoftwareRevision=SOFTWARE_REVISION,
            TargetName=ROUTINE,
            TargetType="Routine",
            TargetSubType="RLL",
            ContainsContext="true",
            ExportOptions="References DecoratedData Context Dependencies AllProjDocTrans",
        )
        controller = self._add(root, "Controller", Use="Context", Name="VIS01_Contract")
        types = self._add(controller, "DataTypes", Use="Context")
        for name, fields in self._types.items():
            self._data_type(types, name, fields)
        tags = self._add(controller, "Tags", Use="Context")
        for tag in TAGS:
            meaning = f"written by the {tag.written_by} side only"
            self._tag(tags, _contract_tag(tag.name, tag.udt.name, tag.dimension, meaning))
        for program_tag in PROGRAM_TAGS:
            self._tag(tags, program_tag)
        programs = self._add(controller, "Programs", Use="Context")
        program = self._add(programs, "Program", Use="Context", Name=PROGRAM)
        self._add(program, "Tags")
        routines = self._add(program, "Routines", Use="Context")
        routine = self._add(routines, "Routine", Use="Target", Name=ROUTINE, Type="RLL")
        content = self._add(routine, "RLLContent")
        for number, rung in enumerate(rungs()):
            self._rung(content, number, rung)

    def _add(self, parent: Document | Element, element: str, **attributes: str) -> Element:
        child = self.document.createElement(element)
        for name, value in attributes.items():
            child.setAttribute(name, value)
        parent.appendChild(child)
        return child

    def _text(self, parent: Element, element: str, text: str) -> None:
        self._add(parent, element).appendChild(self.document.createCDATASection(text))

    def _data_type(self, types: Element, name: str, fields: tuple[Field, ...]) -> None:
        declared = self._add(
            types, "DataType", Use="Context", Name=name, Family="NoFamily", Class="User"
        )
        members = self._add(declared, "Members")
        for field in fields:
            where = {"Target": field.host, "BitNumber": str(field.bit)} if field.host else {}
            member = self._add(
                members,
                "Member",
                Name=field.name,
                DataType=field.type,
                Dimension="0",
                Radix=_RADIX.get(field.type, "Decimal"),
                Hidden=_bool(field.is_host),
                **where,
                ExternalAccess="Read/Write",
            )
            if field.meaning:
                self._text(member, "Description", field.meaning)

    def _tag(self, tags: Element, tag: ProgramTag) -> None:
        dimensions = {"Dimensions": str(tag.dimension)} if tag.dimension else {}
        radix = {} if self._is_structure(tag.type) else {"Radix": _RADIX.get(tag.type, "Decimal")}
        declared = self._add(
            tags,
            "Tag",
            Name=tag.name,
            TagType="Base",
            DataType=tag.type,
            **dimensions,
            **radix,
            Constant="false",
            ExternalAccess="Read/Write",
        )
        self._text(declared, "Description", tag.meaning)
        data = self._add(declared, "Data", Format="Decorated")
        if tag.dimension:
            array = self._add(data, "Array", DataType=tag.type, Dimensions=str(tag.dimension))
            for index in range(tag.dimension):
                element = self._add(array, "Element", Index=f"[{index}]")
                self._structure(element, "Structure", tag.type, {}, preset_ms=0)
        elif self._is_structure(tag.type):
            self._structure(data, "Structure", tag.type, {}, preset_ms=tag.preset_ms)
        else:
            self._add(data, "DataValue", DataType=tag.type, Radix="Decimal", Value="0")

    def _structure(
        self, parent: Element, element: str, kind: str, named: dict[str, str], *, preset_ms: int
    ) -> None:
        structure = self._add(parent, element, **named, DataType=kind)
        if kind == "TIMER":
            for name, value_type in _TIMER_MEMBERS:
                self._value(structure, name, value_type, preset_ms if name == "PRE" else 0)
            return
        for field in self._types[kind]:
            if self._is_structure(field.type):
                self._structure(
                    structure, "StructureMember", field.type, {"Name": field.name}, preset_ms=0
                )
            elif not field.is_host:
                self._value(structure, field.name, "BOOL" if field.host else field.type, 0)

    def _value(self, structure: Element, name: str, kind: str, value: int) -> None:
        radix = {} if kind == "BOOL" else {"Radix": _RADIX.get(kind, "Decimal")}
        text = "0.0" if kind == CipType.REAL else str(value)
        self._add(structure, "DataValueMember", Name=name, DataType=kind, **radix, Value=text)

    def _rung(self, content: Element, number: int, rung: Rung) -> None:
        element = self._add(content, "Rung", Number=str(number), Type="N")
        self._text(element, "Comment", rung.comment)
        self._text(element, "Text", rung.text)

    def _is_structure(self, kind: str) -> bool:
        return kind == "TIMER" or kind in self._types


def _contract_tag(name: str, kind: str, dimension: int, meaning: str) -> ProgramTag:
    return ProgramTag(name=name, type=kind, dimension=dimension, meaning=meaning)


def _bool(value: bool) -> str:
    return "true" if value else "false"
