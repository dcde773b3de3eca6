"""The judge's evidence memory and the agent's eye on it, over a real socket and real memory."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Thread

import pytest
from tests.unit.inspection.records.parts import HEIGHT, START_ID, WIDTH, note, pixels_of
from tests.waiting import WITHIN_S

from taktgate.inspection.frames.evidence import SLOTS, EvidenceMemory
from taktgate.inspection.frames.evidence_reader import EvidenceReader
from taktgate.inspection.frames.ring import SLOT_BYTES


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "evidence.sock"


@pytest.fixture
def memory(path: Path) -> Iterator[EvidenceMemory]:
    memory = EvidenceMemory(path)
    yield memory
    memory.close()


def read(
    reader: EvidenceReader,
    memory: EvidenceMemory,
    sequence: int,
    slot: int,
    start_id: str = START_ID,
) -> bytes | None:
    """Read while the judge serves who connects."""
    found: list[bytes | None] = []
    thread = Thread(target=lambda: found.append(reader.pixels(note(sequence, slot, start_id))))
    thread.start()
    while thread.is_alive():
        memory.serve()
        thread.join(0.005)
    return found[0]


def test_the_agent_sees_the_pixels_that_the_judge_kept(memory: EvidenceMemory, path: Path) -> None:
    reader = EvidenceReader(path, patience_s=WITHIN_S)
    for sequence in (1, 2, 3):
        slot = memory.keep(sequence, memoryview(pixels_of(sequence)))
        assert read(reader, memory, sequence, slot) == pixels_of(sequence)
    reader.close()


def test_pixels_that_were_overwritten_are_not_to_be_had(memory: EvidenceMemory, path: Path) -> None:
    reader = EvidenceReader(path, patience_s=WITHIN_S)
    slot = memory.keep(1, memoryview(pixels_of(1)))
    for sequence in range(2, SLOTS + 2):
        memory.keep(sequence, memoryview(pixels_of(sequence)))

    assert read(reader, memory, 1, slot) is None
    assert read(reader, memory, SLOTS + 1, slot) == pixels_of(SLOTS + 1)
    reader.close()


def test_pixels_that_are_being_overwritten_are_not_to_be_had(
    memory: EvidenceMemory, path: Path
) -> None:
    reader = EvidenceReader(path, patience_s=WITHIN_S)
    slot = memory.keep(1, memoryview(pixels_of(1)))
    for sequence in range(2, SLOTS + 1):
        memory.keep(sequence, memoryview(pixels_of(sequence)))
    with suppress(ValueError):  # too large: it stops in the middle, between the two stamps
        memory.keep(SLOTS + 1, memoryview(bytes(SLOT_BYTES + 1)))

    assert read(reader, memory, 1, slot) is None
    reader.close()


def test_after_a_judges_restart_its_own_pixels_are_read_and_not_those_of_the_one_before(
    path: Path,
) -> None:
    reader = EvidenceReader(path, patience_s=WITHIN_S)
    for start_id, filling in (("judge-1", b"\1"), ("judge-2", b"\2")):
        memory = EvidenceMemory(path)
        pixels = filling * (WIDTH * HEIGHT)
        slot = memory.keep(1, memoryview(pixels))
        assert read(reader, memory, 1, slot, start_id) == pixels
        memory.close()
    reader.close()


def test_a_slot_that_is_none_is_refused(memory: EvidenceMemory, path: Path) -> None:
    reader = EvidenceReader(path, patience_s=WITHIN_S)

    assert read(reader, memory, 1, SLOTS) is None
    reader.close()


def test_without_a_judge_there_are_no_pixels(path: Path) -> None:
    assert EvidenceReader(path).pixels(note(1)) is None


def test_the_agent_cannot_write_into_the_memory(memory: EvidenceMemory, path: Path) -> None:
    reader = EvidenceReader(path, patience_s=WITHIN_S)
    read(reader, memory, 1, memory.keep(1, memoryview(pixels_of(1))))
    assert reader._memory is not None

    with pytest.raises(TypeError):
        reader._memory[0] = 1
    reader.close()
