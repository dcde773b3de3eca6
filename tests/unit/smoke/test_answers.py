"""What the smoke test's process may say, and what its end means."""

import signal
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.staging.errors import SandboxError, SmokeError
from taktgate.staging.smoke.answer import (
    LIMIT_BYTES,
    Answer,
    Begun,
    Passed,
    Refused,
    Unable,
    line,
    read,
)
from taktgate.staging.smoke.conclusion import conclude
from taktgate.staging.smoke.findings import MESSAGE_LENGTH, Finding, ModelFaultError
from taktgate.staging.smoke.watch import End

BEGUN = Begun(runtime="1.31.1", unconfined=("landlock",))
PASSED = Passed(runs=16, golden_images=10, golden_worst=0.1, run_ms=1.5, peak_mb=90)
ENDINGS = st.one_of(
    st.builds(
        Passed,
        runs=st.integers(0, 10**6),
        golden_images=st.integers(0, 1000),
        golden_worst=st.floats(0, 1),
        run_ms=st.floats(0, 1e6),
        peak_mb=st.integers(0, 10**6),
    ),
    st.builds(Refused, finding=st.sampled_from(Finding), message=st.text(max_size=200)),
    st.builds(Unable, message=st.text(max_size=200)),
)


@given(ENDINGS)
def test_what_is_said_is_what_is_read(ending: Passed | Refused | Unable) -> None:
    assert read(line(BEGUN) + line(ending)) == Answer(begun=BEGUN, ending=ending)


@given(ENDINGS, st.data())
def test_half_an_answer_never_passes_a_model(
    ending: Passed | Refused | Unable, data: st.DataObject
) -> None:
    whole = line(BEGUN) + line(ending)
    answer = read(whole[: data.draw(st.integers(0, len(whole) - 1))])
    assert answer.ending is None


@given(st.binary(max_size=400), st.binary(max_size=400))
def test_rubbish_never_passes_a_model(before: bytes, after: bytes) -> None:
    answer = read(before + line(BEGUN) + after + line(PASSED))
    assert answer.ending is None or not before + after.replace(b"\n", b"")


def test_more_than_may_be_said_is_rubbish() -> None:
    assert read(line(BEGUN) + b"\n" * LIMIT_BYTES).rubbish
    assert read(line(BEGUN) + line(PASSED) + line(PASSED)).rubbish == "a line too many"
    assert read(line(BEGUN) + line(BEGUN)).rubbish == "two beginnings"
    assert read(line(PASSED)).rubbish == "an ending without a beginning"


CLEAN = End(output=b"", status=0)
ALL = Answer(begun=BEGUN, ending=PASSED)


@pytest.mark.parametrize(
    ("answer", "end", "error", "message"),
    [
        (ALL, {"status": -signal.SIGSEGV}, SmokeError, "CRASH.*SIGSEGV"),
        (ALL, {"status": 1}, SmokeError, "CRASH.*code 1"),
        (ALL, {"is_late": True}, SmokeError, "TIMEOUT: .*9 s"),
        (ALL, {"is_late": True, "was_starved": True}, SandboxError, "processors"),
        (ALL, {"is_overlong": True}, SmokeError, "ANSWER"),
        (Answer(begun=BEGUN, rubbish="odd"), {}, SmokeError, "ANSWER.*odd"),
        (Answer(begun=BEGUN), {}, SmokeError, "CRASH.*code 0"),
        (Answer(begun=BEGUN), {"status": -signal.SIGXCPU}, SmokeError, "processor time"),
        (Answer(), {"is_late": True, "status": -9}, SandboxError, "9 s were over"),
        (Answer(), {"status": -signal.SIGKILL}, SandboxError, "before it turned.*SIGKILL"),
        (Answer(ending=Unable(message="no module")), {}, SandboxError, "no module"),
        (Answer(begun=BEGUN, ending=Unable(message="bug")), {}, SandboxError, "bug"),
    ],
)
def test_what_an_end_means(
    answer: Answer, end: dict[str, int], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        conclude(answer, replace(CLEAN, **end), limit_s=9.0)  # type: ignore[arg-type]


def test_only_a_clean_end_with_figures_passes() -> None:
    assert conclude(ALL, CLEAN, limit_s=9.0) == PASSED


def test_a_long_message_keeps_both_its_ends() -> None:
    message = ModelFaultError(Finding.LOAD, "where" + "x" * 5000 + "why").message
    assert len(message) == MESSAGE_LENGTH
    assert (message[:5], message[-3:]) == ("where", "why")
