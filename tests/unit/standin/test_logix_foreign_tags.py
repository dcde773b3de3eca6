"""Program scope and the tags that are not ours: nested structures, strings, arrays, LINTs."""

import struct
from collections.abc import Iterator

import pytest
from tests.unit.standin.logix_bench import READ, WRITE, dint, path, request, status_of

from taktgate.plc.contract.tags import TAGS
from taktgate.standin.logix.data_types import Atomic, Template, template_of
from taktgate.standin.logix.errors import Status
from taktgate.standin.logix.foreign_tags import CELL, MOTOR, PROGRAMS, STRING, among_foreign
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.router import Router
from taktgate.standin.logix.structures import Part, lay_out

LIST, GET_ATTRIBUTES = 0x55, 0x03
SYMBOLS = b"\x20\x6b\x25\x00"
NAME_AND_TYPE = struct.pack("<HHH", 2, 1, 2)
IN_PROGRAM = ("Program:MainProgram", "Pressure_0001")


@pytest.fixture
def memory() -> TagMemory:
    return TagMemory(among_foreign(symbols_of(TAGS), 200))


@pytest.fixture
def router(memory: TagMemory) -> Router:
    return Router(memory)


def upload(router: Router, program: bytes = b"") -> Iterator[tuple[int, str, int]]:
    """Upload as clients do: page by page, each from the last id + 1."""
    start, status = 0, int(Status.PARTIAL_TRANSFER)
    while status == Status.PARTIAL_TRANSFER:
        where = program + SYMBOLS + struct.pack("<H", start)
        reply = router.answer(request(LIST, where, NAME_AND_TYPE), 504)
        assert len(reply) <= 504
        status, position = reply[2], 4
        while position < len(reply):
            number, length = struct.unpack_from("<IH", reply, position)
            name = reply[position + 6 : position + 6 + length].decode()
            (kind,) = struct.unpack_from("<H", reply, position + 6 + length)
            position += 8 + length
            yield number, name, kind
            start = number + 1


def test_the_controllers_list_has_its_own_tags_and_the_project_tree(
    router: Router, memory: TagMemory
) -> None:
    uploaded = list(upload(router))

    assert [name for _, name, _ in uploaded] == [
        symbol.name for symbol in memory.symbols if not symbol.program
    ]
    kinds = {name: kind for _, name, kind in uploaded}
    assert kinds["Program:MainProgram"] == 0x1068
    assert kinds["Text_0019"] == 0x8FCE
    assert kinds["Trend_0011"] == 0x20CA
    assert {tag.name for tag in TAGS} <= set(kinds)


@pytest.mark.parametrize("program", PROGRAMS)
def test_each_program_has_a_list_of_its_own(
    router: Router, memory: TagMemory, program: str
) -> None:
    uploaded = list(upload(router, path(f"Program:{program}")))

    assert [name for _, name, _ in uploaded] == [
        symbol.name for symbol in memory.symbols if symbol.program == program
    ]
    assert uploaded[0][1:] == ("Routine:MainRoutine", 0x106D)


def test_a_program_that_does_not_exist_is_a_path_error(router: Router) -> None:
    where = path("Program:Nowhere") + SYMBOLS + b"\0\0"

    assert status_of(router.answer(request(LIST, where, NAME_AND_TYPE), 504)) == (
        Status.PATH_SEGMENT_ERROR,
        None,
    )


def test_a_tag_of_a_program_is_reached_by_its_programs_name_only(
    router: Router, memory: TagMemory
) -> None:
    value = b"\xca\0\x01\0" + struct.pack("<f", 1.5)

    assert status_of(router.answer(request(WRITE, path(*IN_PROGRAM), value), 504)) == (0, None)
    assert memory.element("Program:MainProgram.Pressure_0001") == struct.pack("<f", 1.5)
    for names in ((IN_PROGRAM[1],), ("Program:Conveyor", IN_PROGRAM[1])):
        assert status_of(router.answer(request(READ, path(*names), b"\x01\0"), 504)) == (
            Status.PATH_SEGMENT_ERROR,
            None,
        )


def test_a_tag_of_a_program_is_reached_by_its_instance_too(
    router: Router, memory: TagMemory
) -> None:
    symbol = memory.symbol("Program:MainProgram.Pressure_0001")
    assert symbol is not None
    where = path(IN_PROGRAM[0]) + bytes((0x20, 0x6B, 0x24, symbol.instance_id))

    assert router.answer(request(READ, where, b"\x01\0"), 504)[4:] == b"\xca\0" + bytes(4)
    reply = router.answer(request(GET_ATTRIBUTES, where, NAME_AND_TYPE), 504)
    assert reply[4:] == (
        struct.pack("<HHHH", 2, 1, 0, 13) + b"Pressure_0001" + struct.pack("<HHH", 2, 0, 0xCA)
    )


def test_what_is_no_tag_has_no_value(router: Router) -> None:
    assert status_of(router.answer(request(READ, path("Task:MainTask"), b"\x01\0"), 504)) == (
        Status.PATH_DESTINATION_UNKNOWN,
        None,
    )


@pytest.mark.parametrize(
    ("names", "offset"),
    [
        (("Cell_0007", 2, "Motors", 1, "Speed"), 2 * 304 + 16 + 140 + 4),
        (("Cell_0007", 0, "Motors", 1, "History", 9), 16 + 140 + 100 + 36),
        (("Cell_0007", 1, "Total"), 304 + 8),
        (("Motor_0002", "Name", "DATA", 81), 12 + 4 + 81),
    ],
)
def test_a_path_leads_through_arrays_and_structures_to_the_bytes_of_one_member(
    router: Router, memory: TagMemory, names: tuple[str | int, ...], offset: int
) -> None:
    symbol = memory.symbol(str(names[0]))
    assert symbol is not None
    memory.bytes_of(symbol)[offset] = 0x5A

    reply = router.answer(request(READ, path(*names), b"\x01\0"), 504)

    assert (reply[2], reply[6]) == (Status.SUCCESS, 0x5A)


@pytest.mark.parametrize(
    ("names", "elements", "expected"),
    [
        (("Cell_0007", 2, "Motors", 2, "Speed"), 1, (Status.GENERAL_ERROR, 0x2105)),
        (("Cell_0007", 2, "Motors", 1), 2, (Status.GENERAL_ERROR, 0x2105)),
        (("Cell_0007", 2, "Motors", "Speed"), 1, (Status.PATH_SEGMENT_ERROR, None)),
        (("Cell_0007", "Total"), 1, (Status.PATH_SEGMENT_ERROR, None)),
        (("Cell_0007", 1, 1), 1, (Status.PATH_SEGMENT_ERROR, None)),
        (("Motor_0002", "Name", 0), 1, (Status.PATH_SEGMENT_ERROR, None)),
    ],
)
def test_a_path_that_leads_nowhere_says_so(
    router: Router,
    names: tuple[str | int, ...],
    elements: int,
    expected: tuple[int, int | None],
) -> None:
    data = struct.pack("<H", elements)

    assert status_of(router.answer(request(READ, path(*names), data), 504)) == expected


def test_structures_are_laid_out_as_logix_does() -> None:
    assert [(f.name, f.offset, f.bit) for f in MOTOR.fields] == [
        ("ZZZZZZZZZZUDT_Motor0", 0, None),
        ("Run", 0, 0),
        ("Tripped", 0, 1),
        ("Speed", 4, None),
        ("Starts", 8, None),
        ("Name", 12, None),
        ("History", 100, None),
    ]
    assert (STRING.size_bytes, STRING.handle, STRING.instance_id) == (88, 0x0FCE, 0xFCE)
    assert MOTOR.size_bytes == 140
    assert [(f.name, f.offset) for f in CELL.fields if f.name[0] != "Z"] == [
        ("Id", 0),
        ("Total", 8),
        ("Motors", 16),
        ("Busy", 296),
    ]
    assert CELL.size_bytes == 304, "a LINT inside pads to 8"


def test_the_ninth_bool_in_a_row_has_a_new_host() -> None:
    parts = [Part(name=f"B{number}", type=Atomic.BOOL) for number in range(9)]
    fields = {field.name: field for field in lay_out("T", parts, instance_id=0x200).fields}

    assert (fields["B7"].offset, fields["B7"].bit) == (0, 7)
    assert (fields["B8"].offset, fields["B8"].bit) == (1, 0)


@pytest.mark.parametrize("tag", TAGS, ids=lambda tag: tag.name)
def test_the_contracts_own_offsets_are_those_that_logix_would_choose(tag: object) -> None:
    """The tag table states offsets; the layout rules must come to the same."""
    udt = next(each for each in TAGS if each is tag).udt
    parts = [Part(name=member.name, type=Atomic[member.type.value]) for member in udt.members]

    chosen, stated = lay_out(udt.name, parts, instance_id=0x101), template_of(udt, 0x101)

    assert chosen.fields == stated.fields
    assert (chosen.size_bytes, chosen.handle) == (stated.size_bytes, stated.handle)


def test_the_type_of_a_structure_inside_changes_the_handle_of_the_outer_one() -> None:
    other = lay_out("UDT_Motor", [Part(name="Run", type=Atomic.BOOL)], instance_id=0xE01)
    outer = [
        lay_out("Outer", [Part(name="Motor", type=inner)], instance_id=0x200).handle
        for inner in (MOTOR, other)
    ]

    assert outer[0] != outer[1]


def test_every_template_that_a_tag_needs_is_served(router: Router, memory: TagMemory) -> None:
    wanted = {s.data_type.instance_id for s in memory.symbols if isinstance(s.data_type, Template)}
    wanted |= {CELL.instance_id, MOTOR.instance_id, STRING.instance_id}

    for number in wanted:
        where = b"\x20\x6c\x25\x00" + struct.pack("<H", number)
        data = struct.pack("<HHHHH", 4, 4, 5, 2, 1)
        assert status_of(router.answer(request(GET_ATTRIBUTES, where, data), 504)) == (0, None)


@pytest.mark.parametrize("count", [-1, 5_001])
def test_a_count_of_foreign_tags_out_of_its_range_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match="extra tags"):
        among_foreign(symbols_of(TAGS), count)


def test_foreign_tags_leave_names_and_types_of_ours_alone(memory: TagMemory) -> None:
    assert memory.fits(TAGS)
    assert len(memory.symbols) == 200 + len(TAGS) + 6
    assert status_of(
        Router(memory).answer(request(WRITE, path("VIS01_Sts", "State"), dint(2)), 504)
    ) == (0, None)
