"""The contract as an L5X that Studio 5000 imports: types, tags and the gate routine in one file.

Structure after 1756-RM084 (import/export): a routine export with its context, so that importing it
brings the types and the controller tags along. What the PLC's side writes is read-only for
everybody outside the controller.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final
from xml.dom.minidom import Document, Element

from taktgate.plc.contract.tags import CipType, Tag, Udt
from taktgate.plc.ladder.gate_operands import (
    OPERANDS,
    PART_MEMBERS,
    PART_TYPE,
    Operands,
    ProgramTag,
)
from taktgate.plc.ladder.gate_program import ROUTINE, WATCHDOG_MS, Rung, program_tags, rungs

SOFTWARE_REVISION: Final = "33.01"
PROGRAM: Final = "MainProgram"
DEADLINE_MS: Final = 200
"""From the trigger to the acknowledgement, where nobody asks for another."""
_BITS_PER_HOST: Final = 8
_RADIX: Final = {"REAL": "Float", "TIMER": "NullType"}
_TIMER_MEMBERS: Final = (
    ("PRE", "DINT"),
    ("ACC", "DINT"),
    ("EN", "BOOL"),
    ("TT", "BOOL"),
    ("DN", "BOOL"),
)
_READ_WRITE: Final = "Read/Write"
_READ_ONLY: Final = "Read Only"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plant:
    """What the file says about where it is imported: *station* may be empty."""

    station: str = ""
    deadline_ms: int = DEADLINE_MS

    def __post_init__(self) -> None:
        if not 1 <= self.deadline_ms <= 10_000:
            raise ValueError(f"deadline_ms must be within 1..10000, got {self.deadline_ms}")


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


def data_types(names: Operands) -> dict[str, tuple[Field, ...]]:
    """Return the fields of every type that the tags of a profile need, by its name."""
    udts = [tag.type for tag in names.contract_tags if isinstance(tag.type, Udt)]
    types = {udt.name: fields_of(udt.name, _members(udt)) for udt in udts}
    part = tuple((each.name, each.type, each.meaning) for each in PART_MEMBERS)
    own = {tag.type for tag in names.part_tags} & {PART_TYPE}
    return types | {name: fields_of(name, part) for name in own}


def _members(udt: Udt) -> tuple[tuple[str, str, str], ...]:
    return tuple((each.name, str(each.type), each.meaning) for each in udt.members)


def to_l5x(names: Operands = OPERANDS["udt"], plant: Plant = Plant()) -> str:
    """Return the file's text for one profile."""
    document = _Export(names, plant).document
    return document.toprettyxml(indent=" ", encoding="UTF-8").decode()


def _about(names: Operands, plant: Plant) -> str:
    station = f"Station {plant.station}. " if plant.station else ""
    return (
        f"{station}Taktgate vision contract, profile {names.profile}: deadline "
        f"{plant.deadline_ms} ms ({names.command('DeadlineMs')}), watchdog {WATCHDOG_MS} ms "
        "(VIS01_HbTmr). Reject is the rest state.\n"
        f"Call it in every scan, without a condition: JSR({ROUTINE},0) in the main routine of a "
        "task that runs each 10 ms or faster. A routine that is no longer called leaves its "
        "outputs as they are.\n"
        "The plant's logic sets VIS01_PartIn, VIS01_AtGate and VIS01_GateId before the call, and "
        f"{names.command('Enable')}; it copies VIS01_TriggerOut and VIS01_AcceptOut to outputs "
        "after it. Configure these outputs to go off in Program mode and on a fault."
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class _TagData:
    """One tag of the file. *initial* holds values by path, 0 where there is none."""

    name: str
    type: str
    meaning: str
    dimension: int
    access: str
    initial: Mapping[str, int] = field(default_factory=dict)


def _contract_tag(tag: Tag, names: Operands, plant: Plant) -> _TagData:
    is_ours = tag.written_by == "vision"
    who = f"written by the {tag.written_by} side only"
    return _TagData(
        name=tag.name,
        type=tag.type.name if isinstance(tag.type, Udt) else str(tag.type),
        meaning=f"{tag.meaning}; {who}" if tag.meaning else who,
        dimension=tag.dimension,
        access=_READ_WRITE if is_ours else _READ_ONLY,
        initial={names.command("DeadlineMs"): plant.deadline_ms},
    )


def _program_tag(tag: ProgramTag) -> _TagData:
    return _TagData(
        name=tag.name,
        type=tag.type,
        meaning=tag.meaning,
        dimension=tag.dimension,
        access=_READ_ONLY,
        initial={f"{tag.name}.PRE": tag.preset_ms} if tag.preset_ms else {},
    )


class _Export:
    def __init__(self, names: Operands, plant: Plant) -> None:
        self.document = Document()
        self._types = data_types(names)
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
        for tag in names.contract_tags:
            self._tag(tags, _contract_tag(tag, names, plant))
        for own in program_tags(names):
            self._tag(tags, _program_tag(own))
        self._routine(controller, _about(names, plant), rungs(names))

    def _routine(self, controller: Element, about: str, ladder: tuple[Rung, ...]) -> None:
        programs = self._add(controller, "Programs", Use="Context")
        program = self._add(programs, "Program", Use="Context", Name=PROGRAM)
        self._add(program, "Tags")
        routines = self._add(program, "Routines", Use="Context")
        routine = self._add(routines, "Routine", Use="Target", Name=ROUTINE, Type="RLL")
        self._text(routine, "Description", about)
        content = self._add(routine, "RLLContent")
        for number, rung in enumerate(ladder):
            element = self._add(content, "Rung", Number=str(number), Type="N")
            self._text(element, "Comment", rung.comment)
            self._text(element, "Text", rung.text)

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
        for each in fields:
            where = {"Target": each.host, "BitNumber": str(each.bit)} if each.host else {}
            member = self._add(
                members,
                "Member",
                Name=each.name,
                DataType=each.type,
                Dimension="0",
                Radix=_radix(each.type),
                Hidden=_bool(each.is_host),
                **where,
                ExternalAccess=_READ_WRITE,
            )
            if each.meaning:
                self._text(member, "Description", each.meaning)

    def _tag(self, tags: Element, tag: _TagData) -> None:
        dimensions = {"Dimensions": str(tag.dimension)} if tag.dimension else {}
        radix = {} if self._is_structure(tag.type) else {"Radix": _radix(tag.type)}
        declared = self._add(
            tags,
            "Tag",
            Name=tag.name,
            TagType="Base",
            DataType=tag.type,
            **dimensions,
            **radix,
            Constant="false",
            ExternalAccess=tag.access,
        )
        self._text(declared, "Description", tag.meaning)
        data = self._add(declared, "Data", Format="Decorated")
        if tag.dimension:
            self._array(data, tag, radix)
        elif self._is_structure(tag.type):
            self._structure(data, "Structure", tag.type, {}, tag.name, tag.initial)
        else:
            value = _value(tag.type, tag.initial.get(tag.name, 0))
            self._add(data, "DataValue", DataType=tag.type, **radix, Value=value)

    def _array(self, data: Element, tag: _TagData, radix: dict[str, str]) -> None:
        size = {"Dimensions": str(tag.dimension)}
        array = self._add(data, "Array", DataType=tag.type, **size, **radix)
        for index in range(tag.dimension):
            place = {"Index": f"[{index}]"}
            if self._is_structure(tag.type):
                element = self._add(array, "Element", **place)
                path = f"{tag.name}[{index}]"
                self._structure(element, "Structure", tag.type, {}, path, tag.initial)
            else:
                self._add(array, "Element", **place, Value=_value(tag.type, 0))

    def _structure(
        self,
        parent: Element,
        element: str,
        kind: str,
        named: dict[str, str],
        path: str,
        initial: Mapping[str, int],
    ) -> None:
        structure = self._add(parent, element, **named, DataType=kind)
        for name, member_type in self._members_of(kind):
            member = f"{path}.{name}"
            if self._is_structure(member_type):
                own_name = {"Name": name}
                self._structure(
                    structure, "StructureMember", member_type, own_name, member, initial
                )
                continue
            radix = {} if member_type == "BOOL" else {"Radix": _radix(member_type)}
            value = _value(member_type, initial.get(member, 0))
            self._add(
                structure, "DataValueMember", Name=name, DataType=member_type, **radix, Value=value
            )

    def _members_of(self, kind: str) -> tuple[tuple[str, str], ...]:
        """Return name and type of the members that show: a BOOL has no host here."""
        if kind == "TIMER":
            return _TIMER_MEMBERS
        shown = (each for each in self._types[kind] if not each.is_host)
        return tuple((each.name, "BOOL" if each.host else each.type) for each in shown)

    def _is_structure(self, kind: str) -> bool:
        return kind == "TIMER" or kind in self._types


def _radix(kind: str) -> str:
    return _RADIX.get(kind, "Decimal")


def _value(kind: str, value: int) -> str:
    return f"{value}.0" if kind == CipType.REAL else str(value)


def _bool(value: bool) -> str:
    return "true" if value else "false"
