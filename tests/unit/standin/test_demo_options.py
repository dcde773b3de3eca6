"""A demo's options are checked before anything is started."""

from pathlib import Path

import pytest

from taktgate.standin.demo.options import DemoOptions, OptionError, PlannedFault, parse_fault


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "kill:inference/judge@5",
            PlannedFault(action="kill", target="inference/judge", at_s=5, duration_s=0),
        ),
        (
            "stop:edgehub@1.5+5",
            PlannedFault(action="stop", target="edgehub", at_s=1.5, duration_s=5),
        ),
        (
            "stop:plc_writer/writer@2+1",
            PlannedFault(action="stop", target="plc_writer/writer", at_s=2, duration_s=1),
        ),
    ],
)
def test_a_fault_is_read(text: str, expected: PlannedFault) -> None:
    assert parse_fault(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "",
        "kill",
        "kill:inference/judge",
        "kill:inference/judge@-1",
        "kill:inference/judge@5+5",
        "kill:edgehub@5",
        "stop:edgehub@5",
        "stop:nothing@5+5",
    ],
)
def test_a_fault_that_cannot_be_is_refused(text: str) -> None:
    with pytest.raises(OptionError, match="--fault"):
        parse_fault(text)


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"parts": 0}, "--parts"),
        ({"rate": 0.0}, "--rate"),
        ({"defective_fraction": 1.5}, "--defective-fraction"),
        ({"deadline_ms": 10}, "--deadline-ms"),
        ({"bad_model": True}, "--bad-model needs --canary"),
        (
            {"canary": True, "faults": (parse_fault("kill:inference@1"),)},
            "--fault does not go with --canary",
        ),
        ({"parts": 10, "rate": 5, "faults": (parse_fault("kill:inference@1.9"),)}, "last part"),
        ({"seed": -1}, "--seed"),
        ({"network": "127.²5.3"}, "--network"),
        ({"network": "127.0001.3"}, "--network"),
        ({"network": "10.0.0"}, "--network"),
        ({"network": "127.0.300"}, "--network"),
        ({"json_file": Path("/nowhere/out.json")}, "--json"),
        ({"json_file": Path("/")}, "--json"),
    ],
)
def test_a_bad_option_is_named(options: dict[str, object], rule: str) -> None:
    with pytest.raises(OptionError, match=rule):
        DemoOptions(**options)  # type: ignore[arg-type]
