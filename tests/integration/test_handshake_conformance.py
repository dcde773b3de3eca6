"""The real writer, over TCP, before the real PLC program: it goes the way of the model, or stops.

`scripts/plc_conformance` plays thousands of traces, the ways to all seeded bugs, and verdicts by
the million; here are the traces that cover each scenario, and a sample of the rest.
"""

import asyncio
import json
import logging
from collections.abc import Iterable, Iterator
from functools import cache

import pytest

from taktgate.plc.handshake import rules as handshake
from taktgate.plc.link.backends import Backend
from taktgate.plc.link.cached_link import CachedLink
from taktgate.plc.link.logix import LogixLink
from taktgate.standin.handshake_model.bug import Bug, Patch, seeded
from taktgate.standin.handshake_model.bugs import BUGS
from taktgate.standin.handshake_model.model import Model
from taktgate.standin.handshake_model.moves import MOVES, Taken, begin
from taktgate.standin.handshake_model.scenarios import SCENARIOS
from taktgate.standin.handshake_player.__main__ import main
from taktgate.standin.handshake_player.play import play
from taktgate.standin.handshake_player.real_bugs import REAL_BUGS, RealBug, find_real, find_rule
from taktgate.standin.handshake_player.schedule import Position, Stand, follow
from taktgate.standin.handshake_player.traces import STORM, Score, by_chance, covering, of_bug
from taktgate.standin.line.ladder import Rung, accepts
from taktgate.standin.line.tags_view import ResultSlot
from taktgate.standin.verdict_storm import campaign as storms
from taktgate.standin.verdict_storm.storm import Storm

STATES = 100
EACH_WAY_FOR = 4
"""Bugs, for one whose way is played: to find a way takes longer than to play it."""
BY_CACHED_PACKETS = ("loss", "torn-copy")
RULES = {bug.name: bug for bug in BUGS}
FOUND_RULES = (
    "kernel boot not checked",
    "epoch not checked",
    "no last look at the clock",
    "rival of an ended epoch",
)
FOUND_REAL = tuple(
    bug
    for bug in REAL_BUGS
    if bug.name
    in (
        "encoder: SeqEnd left zero",
        "session: interval from this read",
        "session: loss not told to the rules",
        "ownership: the tags are always ours",
        "program: reject not latched",
        "ladder: deadline timer not asked",
    )
)


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    """Lost sessions are what these tests are about: nobody reads of each in the log."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


def play_each(scores: Iterable[Score], backend: Backend = LogixLink) -> int:
    """Play *scores*; return how many there were. The first difference is told with its trace."""
    count = 0
    for score in scores:
        played = asyncio.run(play(score, backend=backend))
        assert played.is_good, "\n".join((played.name, *played.trace, *played.differences))
        count += 1
    return count


@cache
def covering_scores(name: str) -> tuple[Score, ...]:
    return tuple(covering(SCENARIOS[name], max_states=STATES))


@pytest.mark.parametrize("name", SCENARIOS)
def test_real_writer_goes_every_way_of_the_model(name: str) -> None:
    backend = CachedLink if name in BY_CACHED_PACKETS else LogixLink

    assert play_each(covering_scores(name), backend) > 2


def test_no_kind_of_move_is_left_out() -> None:
    found = {
        cue.taken.name
        for name in SCENARIOS
        for score in covering_scores(name)
        for cue in score.cues
    }

    assert found == {move.name for move in MOVES}


def test_ways_to_the_seeded_bugs_are_safe_without_them() -> None:
    scores = [of_bug(bug) for bug in BUGS[::EACH_WAY_FOR]]

    assert play_each(score for score in scores if score is not None) > 8


@pytest.mark.parametrize("seed", range(4))
def test_real_writer_goes_the_models_way_through_a_storm(seed: int) -> None:
    assert play_each([by_chance(STORM, seed=seed, moves=60)]) == 1


@pytest.mark.parametrize("bug", FOUND_REAL, ids=lambda bug: bug.name)
def test_player_finds_a_mistake_that_the_model_cannot_make(bug: RealBug) -> None:
    played = asyncio.run(find_real(bug))

    assert played is not None
    assert played.differences


@pytest.mark.parametrize("name", FOUND_RULES)
def test_player_finds_a_wrong_rule_in_the_real_writer(name: str) -> None:
    assert asyncio.run(find_rule(RULES[name])) is not None


def test_writer_that_has_something_to_write_does_not_read_first() -> None:
    model = Model(SCENARIOS["calm"])
    position = Position(begin(model))
    for name, argument in (("part", 1), ("read", None), ("judge", (0, True, 0)), ("deliver", 0)):
        cue = follow(model, position, Taken(name, argument))
        assert cue is not None
        position = cue.after

    assert position.stand is Stand.TAKES_IN
    assert follow(model, position, Taken("read")) is None


def test_same_seed_walks_the_same_way() -> None:
    ways = [[cue.taken for cue in by_chance(STORM, seed=seed, moves=40).cues] for seed in (7, 7, 8)]

    assert ways[0] == ways[1] != ways[2]


def test_two_thousand_verdicts_in_a_storm_move_no_gate_wrongly() -> None:
    season = storms.run(2_000, seed=1, tell=lambda words: None)

    assert season.verdicts >= 2_000
    assert season.wrong == 0, season.as_dict()["findings"]
    happened = season.as_dict()["disturbances"]
    assert all(happened[name] for name in ("hub_lost", "hub_twice", "writes_lost", "start_writer"))


def test_storm_tells_when_a_part_passes_by_what_was_said_of_another() -> None:
    patches = tuple(
        Patch(owner=handshake, name=name, wrong=lambda *_: None)
        for name in ("foreign", "mismatch", "objection")
    )
    with seeded(Bug(name="", forgot="", scenario="", property="", patches=patches)):
        assert any(Storm(seed=seed).run(1_500).foreign for seed in range(2, 9))


def test_storm_tells_when_the_gate_opens_without_a_pass() -> None:
    def opens_for_any(slot: ResultSlot, *, part_id: int, **contacts: bool) -> Rung:
        good = ResultSlot(valid=True, trigger_id=part_id, decision=1, passed=True)
        return accepts(good, part_id=part_id, **contacts)

    weather = Storm(seed=1, rule=opens_for_any).run(1_000)

    assert weather.unsafe > 0


def test_command_says_what_it_played_and_that_it_was_good(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--scenario", "calm", "--walks", "2", "--states", "50", "--json"]) == 0

    facts = json.loads(capsys.readouterr().out)
    assert (facts["differences"], facts["unsafe"]) == (0, 0)
    assert facts["traces"] >= 4
    assert facts["by_move"]["write"] > 0


def test_command_refuses_to_do_two_things_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--seeded-bugs", "--verdicts", "10"])

    assert "not allowed with" in capsys.readouterr().err
