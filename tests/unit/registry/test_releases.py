"""The release states: every pair is in the table or refused."""

from itertools import product

import pytest

from taktgate.bundle.targets import BundleFacts, HilStatus, ReleaseState
from taktgate.registry.errors import ReportError, TransitionError
from taktgate.registry.signed.releases import lowered, promoted, require_floor, revoked

S = ReleaseState
REPORT = "sha256:" + "1" * 64
WAYS = {
    (S.REGISTERED, S.CI_PASSED),
    (S.CI_PASSED, S.HIL_PASSED),
    (S.CI_PASSED, S.RELEASED),
    (S.HIL_PASSED, S.RELEASED),
}


def facts(state: ReleaseState, **changes: object) -> BundleFacts:
    document = {
        "digest": "sha256:" + "0" * 64,
        "name": "weld-seam",
        "version": "1.0.0",
        "device_class": "cpu",
        "source_digest": "sha256:" + "0" * 64,
        "kind": "onnx",
        "precision": "fp32",
        "ort": None,
        "opset": 18,
        "ir_version": 8,
        "unpacked_bytes": 1,
        "serial": 2,
        "state": state,
    }
    return BundleFacts.model_validate(document | changes)


@pytest.mark.parametrize(("before", "after"), list(product(S, S)))
def test_a_step_is_in_the_table_or_refused(before: ReleaseState, after: ReleaseState) -> None:
    if before is after:
        assert promoted(facts(before), after) == facts(before)
    elif (before, after) in WAYS:
        assert promoted(facts(before), after, waiver="no rig", report=REPORT).state is after
    else:
        with pytest.raises(TransitionError):
            promoted(facts(before), after, waiver="no rig", report=REPORT)


def test_a_release_without_hil_needs_a_waiver() -> None:
    for blank in ("", "   "):
        with pytest.raises(TransitionError, match="HIL must be passed, or waived"):
            promoted(facts(S.CI_PASSED), S.RELEASED, waiver=blank)
    waived = promoted(facts(S.CI_PASSED), S.RELEASED, waiver="J. Doe: no rig")
    assert (waived.hil, waived.note) == (HilStatus.WAIVED, "J. Doe: no rig")


def test_a_release_after_hil_says_so() -> None:
    passed = promoted(facts(S.CI_PASSED), S.HIL_PASSED, report=REPORT)
    released = promoted(passed, S.RELEASED)
    assert (released.hil, released.hil_report) == (HilStatus.PASSED, REPORT)


def test_hil_needs_the_report_that_the_manifest_names() -> None:
    other = "sha256:" + "2" * 64
    with pytest.raises(ReportError, match="needs a HIL report"):
        promoted(facts(S.CI_PASSED), S.HIL_PASSED)
    with pytest.raises(ReportError, match=other):
        promoted(facts(S.CI_PASSED, hil_report=other), S.HIL_PASSED, report=REPORT)


def test_a_note_that_stations_would_refuse_is_refused_here() -> None:
    with pytest.raises(TransitionError, match="note"):
        revoked(facts(S.RELEASED), "x" * 501)


@pytest.mark.parametrize("state", S)
def test_everything_can_be_revoked_with_a_reason(state: ReleaseState) -> None:
    assert revoked(facts(state), "misses pores").state is S.REVOKED
    with pytest.raises(TransitionError, match="reason"):
        revoked(facts(state), " ")


@pytest.mark.parametrize("state", S)
def test_only_what_is_released_can_be_the_floor(state: ReleaseState) -> None:
    if state is S.RELEASED:
        require_floor(facts(state))
        return
    with pytest.raises(TransitionError, match="must be released"):
        require_floor(facts(state))


def test_a_floor_lowers_what_is_older_and_of_its_name() -> None:
    floor = facts(S.RELEASED, serial=3)
    assert lowered(facts(S.RELEASED), floor).state is S.BELOW_FLOOR
    assert lowered(facts(S.REGISTERED), floor).state is S.BELOW_FLOOR
    for other in (
        facts(S.RELEASED, serial=3),
        facts(S.RELEASED, serial=4),
        facts(S.RELEASED, name="pores"),
        facts(S.REVOKED, note="misses pores"),
    ):
        assert lowered(other, floor) == other
