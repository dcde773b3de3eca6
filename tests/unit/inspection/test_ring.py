import mmap
import os
import resource

import pytest

from taktgate.inspection.frames.ring import TOUCHED_BYTES, FrameRing, map_for_reading

FRAME = b"\1" * TOUCHED_BYTES
FEW = 20
"""Page faults; without the touch there are 512."""


def test_a_runner_sees_what_the_judge_wrote() -> None:
    with FrameRing(slots=2, slot_bytes=4096) as ring:
        slot = ring.take()
        assert slot is not None
        ring.memory(slot)[:5] = b"frame"
        with map_for_reading(ring.fileno()) as view:
            assert view[slot * 4096 : slot * 4096 + 5] == b"frame"


def test_slots_are_finite_and_come_back() -> None:
    with FrameRing(slots=2, slot_bytes=4096) as ring:
        taken = {ring.take(), ring.take()}
        assert taken == {0, 1}
        assert ring.take() is None
        ring.release(1)
        assert ring.take() == 1


def test_a_slot_cannot_be_given_back_twice() -> None:
    with FrameRing(slots=1, slot_bytes=4096) as ring, pytest.raises(ValueError, match="free"):
        ring.release(0)


def test_the_first_parts_find_their_pages_in_memory() -> None:
    with FrameRing(slots=2) as ring:
        allocated = os.fstat(ring.fileno()).st_blocks
        ring.touch()
        assert allocated == 0
        assert os.fstat(ring.fileno()).st_blocks * 512 == 2 * TOUCHED_BYTES
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for slot in range(2):
            ring.memory(slot)[:TOUCHED_BYTES] = FRAME
        assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < FEW


def test_touching_keeps_within_small_slots() -> None:
    with FrameRing(slots=3, slot_bytes=5000) as ring:
        ring.touch()


def test_nobody_can_shrink_grow_or_write_the_memory_anew() -> None:
    with FrameRing(slots=1, slot_bytes=4096) as ring:
        for size in (0, 8192):
            with pytest.raises(PermissionError):
                os.ftruncate(ring.fileno(), size)
        with pytest.raises(PermissionError):
            mmap.mmap(ring.fileno(), 4096, prot=mmap.PROT_WRITE)
