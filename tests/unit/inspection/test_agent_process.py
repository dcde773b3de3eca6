"""The agent's start: settings and memory with faults in them cost a report, not the module."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
from tests.waiting import WITHIN_S

from taktgate.edge.places import Places, places_from
from taktgate.inspection.activation_file import EMPTY, ActivationFiles
from taktgate.inspection.agent import process
from taktgate.inspection.agent.faults import Source
from taktgate.inspection.agent.inbox import Complaint, Inbox
from taktgate.inspection.guardrails.settings import GuardrailSettings


def places_in(folder: Path) -> Places:
    return replace(places_from({}), config=folder, state=folder)


@pytest.mark.parametrize(
    ("content", "says"),
    [("trial_parts: 3\n", "trial_parts"), ("factor: [", "not YAML"), (None, "guardrails.yaml")],
)
def test_a_fault_in_guardrails_yaml_is_reported_and_the_defaults_hold(
    tmp_path: Path, content: str | None, says: str
) -> None:
    if content is not None:
        (tmp_path / "guardrails.yaml").write_text(content)
    inbox = Inbox()

    assert process._guardrails(places_in(tmp_path), inbox) == GuardrailSettings()
    complaint = inbox.get(0)
    assert isinstance(complaint, Complaint)
    assert (complaint.source, complaint.reason) == (Source.SETTINGS, "SETTINGS")
    assert says in (complaint.message or "")


def test_a_damaged_activation_is_reported_and_repaired(tmp_path: Path) -> None:
    files, inbox = ActivationFiles(folder=tmp_path), Inbox()
    for generation in (1, 2):
        files.write(replace(EMPTY, generation=generation))
    (tmp_path / "activation.json").write_bytes(b"")

    assert process._recall(files, inbox) == replace(EMPTY, generation=1)
    complaint = inbox.get(0)
    assert isinstance(complaint, Complaint)
    assert complaint.source is Source.ACTIVATION_FILE
    assert process._recall(files, inbox) == replace(EMPTY, generation=1)
    assert inbox.get(0) is None


def test_a_thread_that_a_bug_ends_is_logged_and_told_of(caplog: pytest.LogCaptureFixture) -> None:
    inbox = Inbox()

    def fail() -> None:
        raise ValueError("no such segment")

    told = partial(inbox.complain, Source.RECORDS, "RECORDS")
    process._start_thread("records", fail, told).join(WITHIN_S)

    complaint = inbox.get(0)
    assert isinstance(complaint, Complaint)
    assert complaint.source is Source.RECORDS
    assert "no such segment" in (complaint.message or "")
    assert caplog.records[-1].exc_info is not None
