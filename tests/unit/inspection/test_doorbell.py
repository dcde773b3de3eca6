import math
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.inspection.doorbell import (
    ANSWER,
    JOB,
    PROBED,
    Answer,
    DoorbellError,
    Job,
    RunFault,
    failed,
    pack_answer,
    pack_job,
    pack_probed,
    unpack_answer,
    unpack_job,
    unpack_probed,
)
from taktgate.inspection.image_facts import ImageFacts

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


LENGTHS = [
    len(message) - 1
    for message in (
        pack_job(Job(job_id=1, slot=0, width=1, height=1, channels=1, decide_by_ns=1)),
        pack_answer(failed(1, RunFault.RUN_FAILED, start_ns=1, end_ns=2)),
        pack_probed(1),
    )
]
"""Of whole messages, behind their kind."""


@given(job=jobs)
def test_a_job_survives_the_socket(job: Job) -> None:
    assert unpack_job(pack_job(job)) == job


@given(answer=answers)
def test_an_answer_survives_the_socket(answer: Answer) -> None:
    assert unpack_answer(pack_answer(answer)) == answer


@given(runs_left=st.integers(1, 2**16 - 1))
def test_the_runs_left_of_a_probe_survive_the_socket(runs_left: int) -> None:
    assert unpack_probed(pack_probed(runs_left)) == runs_left


def test_a_probe_that_asks_for_a_gap_without_a_run_left_is_refused() -> None:
    with pytest.raises(DoorbellError):
        unpack_probed(pack_probed(0))


@given(kind=st.sampled_from([JOB, ANSWER, PROBED, b"?"]), data=st.data())
def test_whatever_comes_is_a_message_or_raises_the_doorbells_error_alone(
    kind: bytes, data: st.DataObject
) -> None:
    fitting = st.sampled_from(LENGTHS).flatmap(lambda size: st.binary(min_size=size, max_size=size))
    message = kind + data.draw(st.binary(max_size=100) | fitting)
    for own, unpack in ((JOB, unpack_job), (ANSWER, unpack_answer), (PROBED, unpack_probed)):
        with suppress(DoorbellError):
            unpack(message)
            assert kind == own, "what is of another kind is refused"


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
