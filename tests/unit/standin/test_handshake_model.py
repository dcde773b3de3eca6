"""The model checker: it sees all there is, finds nothing in the rules, and every seeded bug."""

import json

import pytest

from taktgate import cli
from taktgate.standin.handshake_model.bug import Bug, seeded
from taktgate.standin.handshake_model.bugs import BUGS
from taktgate.standin.handshake_model.check import check_scenario, hunt
from taktgate.standin.handshake_model.facts import Flaw
from taktgate.standin.handshake_model.model import Model
from taktgate.standin.handshake_model.moves import MOVES_BY_NAME, Taken, begin, take
from taktgate.standin.handshake_model.properties import PROPERTY_NAMES, broken
from taktgate.standin.handshake_model.report import Report, as_json, as_table, read_trace
from taktgate.standin.handshake_model.scenario import Fault
from taktgate.standin.handshake_model.scenarios import SCENARIOS

SHORT = ("calm", "no-verdict", "fifth-slot", "skipped", "judge-out-of-order")


@pytest.mark.parametrize("name", SHORT)
def test_the_rules_break_no_property_in_any_state_of_a_scenario(name: str) -> None:
    found = check_scenario(SCENARIOS[name], is_deep=False, tell=lambda words: None).findings

    assert found.violations == []
    assert found.is_exhausted
    assert found.accepts
    assert found.rejects


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_seeded_bug_breaks_the_property_that_its_row_names(bug: Bug) -> None:
    row = hunt(bug)

    assert row.violation is not None
    assert row.violation.property.name == bug.property


def test_at_least_thirty_bugs_are_seeded_on_both_sides() -> None:
    names = [bug.name for bug in BUGS]

    assert len(names) == len(set(names)) >= 30
    assert sum(name.startswith("PLC") for name in names) >= 10


def test_every_row_of_the_bugs_names_a_scenario_and_a_property_there_is() -> None:
    assert {bug.scenario for bug in BUGS} <= set(SCENARIOS)
    assert {bug.property for bug in BUGS} <= set(PROPERTY_NAMES)


def test_every_fault_happens_in_some_scenario() -> None:
    assert {fault for scenario in SCENARIOS.values() for fault in scenario.faults} == set(Fault)


def test_a_bug_is_out_again_after_its_hunt() -> None:
    bug = next(bug for bug in BUGS if bug.scenario == "no-verdict")
    (patch,) = bug.patches
    right = vars(patch.owner)[patch.name]
    with seeded(bug):
        assert vars(patch.owner)[patch.name] is patch.wrong
    assert vars(patch.owner)[patch.name] is right


def test_a_trace_leads_to_its_violation_again_also_when_it_was_json_meanwhile() -> None:
    bug = next(bug for bug in BUGS if bug.name == "PLC: any result is a PASS")
    row = hunt(bug)
    said = json.loads(json.dumps(as_json(Report(scenarios=(), bugs=(row,)))))
    *way, last = read_trace(said["bugs"][0]["found"]["trace"])
    with seeded(bug):
        model = Model(SCENARIOS[bug.scenario])
        world = begin(model)
        for taken in way:
            world = take(model, world, taken).world
        step = take(model, world, last)

        assert bug.property in [one.name for one, _ in broken(model, step)]


def test_a_move_that_is_not_possible_is_refused_by_name() -> None:
    model = Model(SCENARIOS["calm"])
    with pytest.raises(ValueError, match="deliver 0 is not possible here"):
        take(model, begin(model), Taken("deliver", 0))


def test_the_table_names_an_uncaught_bug_and_the_run_is_not_good() -> None:
    bug = next(bug for bug in BUGS if bug.name == "PASS without proof")
    row = hunt(bug)
    missed = type(row)(bug=bug, violation=None, states=7)
    report = Report(scenarios=(), bugs=(row, missed))

    assert not report.is_good
    assert "NOT CAUGHT" in as_table(report, has_traces=True)
    assert "1 of 2 seeded bugs caught" in as_table(report, has_traces=False)


def test_the_command_prints_one_object_with_what_it_found(
    capsys: pytest.CaptureFixture[str],
) -> None:
    code = cli.main(["plc", "model-check", "--scenario", "no-verdict", "--json"])

    out, err = capsys.readouterr()
    said = json.loads(out)
    assert code == 0
    assert said["states"] == said["scenarios"][0]["states"] > 10
    assert (said["violations"], said["seeded_bugs"], said["seeded_bugs_caught"]) == (0, 1, 1)
    assert said["violations_found"] == []
    assert "no-verdict" in err


def test_an_unknown_scenario_is_refused_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        cli.main(["plc", "model-check", "--scenario", "storm"])

    assert error.value.code == 2
    assert "storm" in capsys.readouterr().err


def test_every_move_has_words_for_every_argument() -> None:
    arguments = {"step": "turn", "judge": (0, True, Flaw.NONE), "plc_restart": "numbers as before"}
    for name, move in MOVES_BY_NAME.items():
        assert move.words.format(arguments.get(name, 1))
