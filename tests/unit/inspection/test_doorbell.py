import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.inspection.doorbell import (
    Answer,
    DoorbellError,
    Job,
    RunFault,
    failed,
    pack_answer,
    pack_job,
    unpack_answer,
    unpack_job,
)
from taktgate.inspection.gate.facts import ImageFacts

u16, u32, u64 = st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
times = st.integers(0, 2**63 - 1)
finite, shares = st.floats(allow_nan=False, allow_infinity=False), st.floats(0, 1)
jobs = st.builds(
    Job,
    job_id=u64,
    slot=u32,
    width=u32,
    height=u32,
    channels=st.integers(0, 2**16 - 1),
    decide_by_ns=times,
)
facts = st.builds(
    ImageFacts,
    mean=finite,
    contrast=finite,
    sharpness=finite,
    dark_share=shares,
    saturated_share=shares,
    fingerprint=u64,
)
answers = st.builds(
    Answer,
    job_id=u64,
    fault=st.sampled_from(RunFault),
    score=st.floats(allow_nan=False),
    class_scores=st.lists(st.floats(allow_nan=False), max_size=64).map(tuple),
    arrived_ns=times,
    gated_ns=times,
    start_ns=times,
    end_ns=times,
    facts=st.none() | facts,
)


@given(job=jobs)
def test_a_job_survives_the_socket(job: Job) -> None:
    assert unpack_job(pack_job(job)) == job


@given(answer=answers)
def test_an_answer_survives_the_socket(answer: Answer) -> None:
    assert unpack_answer(pack_answer(answer)) == answer


@given(data=st.binary(max_size=100))
def test_nonsense_is_refused(data: bytes) -> None:
    for unpack in (unpack_job, unpack_answer):
        try:
            unpack(data)
        except DoorbellError:
            continue


@given(answer=answers, cut=st.integers(1, 40))
def test_a_cut_answer_is_refused(answer: Answer, cut: int) -> None:
    with pytest.raises(DoorbellError):
        unpack_answer(pack_answer(answer)[:-cut])


def test_an_unknown_fault_is_refused() -> None:
    data = bytearray(pack_answer(failed(1, RunFault.RUN_FAILED, start_ns=1, end_ns=2)))
    data[1] = 200

    with pytest.raises(DoorbellError):
        unpack_answer(bytes(data))


def test_a_failed_run_has_no_number_that_could_pass() -> None:
    answer = unpack_answer(pack_answer(failed(1, RunFault.RUN_FAILED, start_ns=1, end_ns=2)))

    assert math.isnan(answer.score)
    assert answer.class_scores == ()
