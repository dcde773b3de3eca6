"""A demo's options are checked before anything is started."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from taktgate.standin.demo.line_times import frame_window_ms, reply_timeout_ms
from taktgate.standin.demo.options import (
    DemoOptions,
    OptionError,
    PlannedFault,
    PlannedPlcFault,
    parse_fault,
    parts_for,
    plan_plc_faults,
)
from taktgate.standin.demo.plc_fault_kinds import PLC_FAULTS
from taktgate.standin.demo.plc_faults import ACTIONS
from taktgate.standin.demo.screen import belt_picture, print_plc_fault_kinds


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
        ({"plc_faults": plan_plc_faults(["reset@5"]), "canary": True}, "--plc-fault does not go"),
        ({"plc_faults": plan_plc_faults(["cable-pull@25+3"])}, "--plc-fault must be over 2 s"),
        ({"plc_faults": plan_plc_faults(["slow@5+3", "drip@7"])}, "one must be over before"),
        ({"in_turn": True}, "--in-turn needs --fault or --plc-fault"),
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


def test_plc_faults_strike_in_the_order_of_their_times() -> None:
    assert plan_plc_faults(["reset@9.5", "cable-pull@4+1"]) == (
        PlannedPlcFault(name="cable-pull", at_s=4.0, duration_s=1.0),
        PlannedPlcFault(name="reset", at_s=9.5, duration_s=0.0),
    )


def test_faults_in_turn_are_of_both_kinds_in_the_order_of_their_times_and_bound_to_no_part() -> (
    None
):
    options = DemoOptions(
        parts=1,
        in_turn=True,
        faults=(parse_fault("kill:inference@1"), parse_fault("kill:plc_writer@3")),
        plc_faults=plan_plc_faults(["slow@1+3", "drip@2"]),
    )
    assert [fault.name for fault in options.faults_in_order] == [
        *("kill inference", "slow", "drip", "kill plc_writer"),
    ]


@pytest.mark.parametrize(
    ("deadline_ms", "rate", "reply_ms", "window_ms"),
    [
        (60, 5.0, 100, 120),
        (200, 20.0, 100, 120),
        (400, 2.5, 200, 240),
        (1000, 2.5, 500, 300),
        (5000, 0.1, 1000, 3000),
    ],
)
def test_replies_and_frames_may_take_longer_where_parts_may(
    deadline_ms: int, rate: float, reply_ms: int, window_ms: int
) -> None:
    assert reply_timeout_ms(100, deadline_ms=deadline_ms) == reply_ms
    assert frame_window_ms(120, deadline_ms=deadline_ms, rate=rate) == window_ms


@pytest.mark.parametrize(
    ("texts", "rule"),
    [
        (["cable-pull"], "must be like"),
        (["cable-pull@x"], "must be like"),
        (["cable-cut@5"], "must be one of program-mode"),
        (["reset@5+2"], "strikes once"),
        (["silence@5+60"], "50 s at most"),
        (["all", "reset@5"], "all does not go with others"),
    ],
)
def test_a_plc_fault_that_cannot_be_is_refused(texts: list[str], rule: str) -> None:
    with pytest.raises(OptionError, match=rule):
        plan_plc_faults(texts)


def test_every_plc_fault_that_is_offered_can_be_done() -> None:
    assert list(ACTIONS) == list(PLC_FAULTS)


@pytest.mark.parametrize("rate", [0.5, 4.0, 20.0])
def test_all_plc_faults_fit_into_the_parts_that_are_run_for_them(rate: float) -> None:
    planned = plan_plc_faults(["all"])

    assert [fault.name for fault in planned] == list(PLC_FAULTS)
    options = DemoOptions(rate=rate, parts=parts_for(planned, rate), plc_faults=planned)
    assert options.plc_faults == planned


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_list_of_plc_faults_names_each_whole_on_any_screen(width: int) -> None:
    console = Console(width=width, file=io.StringIO(), record=True)
    print_plc_fault_kinds(console)
    text = console.export_text()

    for name in PLC_FAULTS:
        assert name in text
    assert max(map(len, text.splitlines())) <= width


def test_the_belt_shows_parts_eye_flap_and_lamps_on_one_line() -> None:
    picture = belt_picture(
        {
            "parts_on_belt": [
                {"trigger_id": 1, "position": 700, "state": "accepted"},
                {"trigger_id": 2, "position": 300, "state": "waiting"},
            ],
            "flap": {"is_open": True, "for_part": 1, "eye_at": 600, "flap_at": 1600},
            "standstill": [],
            "mode": "remote_run",
            "comm_ok": True,
            "ready": False,
        }
    )

    assert picture.plain.startswith("belt ------o-----|-O---")
    assert picture.plain.endswith("PLC: remote_run  CommOk  not Ready")
    assert picture.cell_len <= 80
