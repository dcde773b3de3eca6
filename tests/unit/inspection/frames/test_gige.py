"""The pure parts of the GigE Vision adapter."""

from hypothesis import given
from hypothesis import strategies as st

from taktgate.edge.clock import MILLISECOND, SECOND
from taktgate.inspection.frames.grabber.gige.camera_clock import CameraClock
from taktgate.inspection.frames.grabber.gige.frame_ids import BLOCKS, FrameIds
from taktgate.inspection.frames.grabber.gige.trigger_pairs import FRAME_LIMIT_NS, TriggerPairs


def block_id(exposure: int) -> int:
    """Return the 16-bit id of an exposure: 1..65535, again and again."""
    return (exposure - 1) % BLOCKS + 1


@given(first=st.integers(1, 3 * BLOCKS), steps=st.lists(st.integers(1, 2000), max_size=60))
def test_ids_count_on_over_the_wrap_and_each_gap_is_counted(first: int, steps: list[int]) -> None:
    ids, exposure = FrameIds(), first
    base = ids.unroll(block_id(exposure))
    assert base is not None
    for step in steps:
        exposure += step
        assert ids.unroll(block_id(exposure)) == base + exposure - first

    assert ids.lost == sum(steps) - len(steps)


def test_an_older_or_repeated_block_is_none_and_changes_nothing() -> None:
    ids = FrameIds()
    for block in (65534, 65535, 1):
        ids.unroll(block)

    assert ids.unroll(65535) is None
    assert ids.unroll(1) is None
    assert ids.unroll(2) == 65537
    assert ids.lost == 0


def test_extended_ids_do_not_wrap() -> None:
    ids = FrameIds()

    assert ids.unroll(65536) == 65536
    assert ids.unroll(65538) == 65538
    assert ids.lost == 1


@given(
    offset_ns=st.integers(-(10**15), 10**15),
    transfers=st.lists(st.integers(210_000, 30 * MILLISECOND), min_size=1, max_size=50),
    drift_ppm=st.integers(-100, 100),
    is_latched=st.booleans(),
)
def test_an_exposure_is_never_said_to_be_later_than_it_was(
    offset_ns: int, transfers: list[int], drift_ppm: int, is_latched: bool
) -> None:
    clock = CameraClock(payload_bytes=262_144)

    def camera(here_ns: int) -> int:
        return here_ns + here_ns * drift_ppm // 1_000_000 - offset_ns

    now_ns = 10**9
    if is_latched:
        clock.latch(camera_ns=camera(now_ns + 50_000), sent_ns=now_ns)
    for count, transfer_ns in enumerate(transfers, start=1):
        exposed_ns = now_ns = now_ns + 33 * MILLISECOND
        arrival_ns = exposed_ns + transfer_ns
        clock.arrived(camera_ns=camera(exposed_ns), arrival_ns=arrival_ns)
        said_ns = clock.here(camera(exposed_ns), not_after_ns=arrival_ns)
        # Without a latch, the fastest frame's own jitter and the drift since then are not known.
        unknown_ns = (
            max(0, min(transfers[:count]) - 2_200_000) + 50 * 33 * MILLISECOND * 200 // 1_000_000
        )
        slack_ns = 1 if is_latched else 1 + unknown_ns  # the nanosecond: whole numbers
        assert said_ns <= exposed_ns + slack_ns
        if is_latched:
            assert exposed_ns - said_ns < MILLISECOND


def test_a_latched_clock_is_right_to_the_round_trip() -> None:
    clock = CameraClock(payload_bytes=262_144)
    clock.latch(camera_ns=500, sent_ns=1_000_000)

    assert clock.here(500 + MILLISECOND, not_after_ns=5 * MILLISECOND) <= 2 * MILLISECOND
    assert clock.here(500 + MILLISECOND, not_after_ns=1_500_000) == 1_500_000


def test_a_trigger_and_its_frame_are_paired() -> None:
    pairs = TriggerPairs()
    for trigger_id in range(5):
        now_ns = trigger_id * 40 * MILLISECOND
        assert pairs.trigger(trigger_id, now_ns)
        sent = pairs.frame(now_ns + 5 * MILLISECOND)
        assert sent is not None
        assert (sent.trigger_id, sent.sent_ns) == (trigger_id, now_ns)
    assert pairs.lost == 0


def test_a_second_trigger_before_the_frame_leaves_both_parts_without_one() -> None:
    pairs = TriggerPairs()
    assert pairs.trigger(1, 0)
    assert not pairs.trigger(2, MILLISECOND)

    assert pairs.frame(2 * MILLISECOND) is None
    assert pairs.lost == 2


def test_a_lost_frame_never_gives_its_number_to_the_next_one() -> None:
    pairs = TriggerPairs()
    assert pairs.trigger(1, 0)
    later_ns = FRAME_LIMIT_NS + MILLISECOND
    assert not pairs.trigger(2, later_ns)
    assert pairs.frame(later_ns + MILLISECOND) is None

    quiet_ns = later_ns + MILLISECOND + FRAME_LIMIT_NS
    assert pairs.trigger(3, quiet_ns)
    sent = pairs.frame(quiet_ns + MILLISECOND)
    assert sent is not None
    assert sent.trigger_id == 3


@given(
    events=st.lists(st.tuples(st.integers(1, 400), st.booleans(), st.integers(0, 150)), max_size=80)
)
def test_no_frame_is_ever_given_to_a_part_that_did_not_cause_it(
    events: list[tuple[int, bool, int]],
) -> None:
    """Each sent trigger causes one frame within the limit, or none; pairs are never wrong."""
    pairs, now_ms, flying = TriggerPairs(), 0, list[tuple[int, int]]()
    for trigger_id, (gap_ms, is_lost, transfer_ms) in enumerate(events):
        now_ms += gap_ms
        for arrives_ms, cause in sorted(each for each in flying if each[0] <= now_ms):
            flying.remove((arrives_ms, cause))
            sent = pairs.frame(arrives_ms * MILLISECOND)
            assert sent is None or sent.trigger_id == cause
        if pairs.trigger(trigger_id, now_ms * MILLISECOND) and not is_lost:
            flying.append((now_ms + transfer_ms, trigger_id))
    assert now_ms * MILLISECOND < 10**4 * SECOND
