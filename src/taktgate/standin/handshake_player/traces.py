"""Which traces are played: those that cover a scenario, those of the seeded bugs, and by chance."""

import random
from collections import deque
from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from taktgate.plc.handshake.parts import PartState
from taktgate.standin.handshake_model.bug import Bug
from taktgate.standin.handshake_model.check import hunt
from taktgate.standin.handshake_model.model import Model
from taktgate.standin.handshake_model.moves import MOVES, MOVES_BY_NAME, WARM_UP, Taken, begin
from taktgate.standin.handshake_model.moves_faults import CLOCK_AT_BOOT
from taktgate.standin.handshake_model.moves_line import TURN
from taktgate.standin.handshake_model.moves_request import NOT_A_GHOST
from taktgate.standin.handshake_model.plc_program import Gated, Presets
from taktgate.standin.handshake_model.scenario import Fault, Haste, Scenario
from taktgate.standin.handshake_model.scenarios import SCENARIOS
from taktgate.standin.handshake_model.world import Names
from taktgate.standin.handshake_player.schedule import Cue, Position, Stand, follow

_NEXT: Final = {
    Stand.TAKES_IN: Taken("write"),
    Stand.READS: Taken("read"),
    Stand.WRITES: Taken("write"),
}
"""What the real writer does next, of its own accord."""
_WAY_OUT: Final = (
    Taken("execute", NOT_A_GHOST),
    Taken("reply"),
    Taken("lose", 0),
    Taken("open"),
    Taken("run"),
)
"""Has time go on again, whatever is under way."""
_FAREWELL: Final = (Taken("step", TURN),) * 8
"""Has the parts on the line reach their gate: only there it shows what a trace was good for."""


class Score(NamedTuple):
    """A trace, ready to be played."""

    name: str
    scenario: Scenario
    warm_up: tuple[Cue, ...]
    """From power-up to where the line is ready for its first part: only its end is compared."""
    cues: tuple[Cue, ...]


_WEIGHTS: Final = {
    **dict.fromkeys(("part", "read", "judge", "write", "send", "execute", "reply", "open"), 8),
    **dict.fromkeys(("step", "scan", "start", "deliver", "run", "ask"), 4),
    **dict.fromkeys(("tear", "ghost"), 3),
}
"""Of a walk: a line that works most of the time, so that a fault finds something to spoil."""
STORM: Final = Scenario(
    name="storm",
    words="everything, and all of it together",
    parts=6,
    jumps=((1, 2, 8),),
    presets=Presets(deadline=3, gate=5),
    idle_steps=9,
    early_steps=9,
    is_silent=True,
    faults={
        **dict.fromkeys(Fault, 1),
        **dict.fromkeys((Fault.LOSS, Fault.HELD_UP, Fault.TWICE), 3),
        **dict.fromkeys((Fault.GHOST, Fault.TORN, Fault.UNDONE), 2),
        Fault.SLOW: 8,
    },
    reads_back=True,
)
"""For walks by chance; a search would never see its end."""
Goal = Hashable


def covering(scenario: Scenario, *, max_states: int) -> Iterator[Score]:
    """Yield traces that reach, by the shortest way, whatever the first *max_states* have to show.

    That is each move with each argument, wherever the writer stands, each way that the state of a
    part goes, and each thing that the gate does.
    """
    model = Model(scenario)
    lead = _cues(model, Position(begin(model)), _taken(scenario.lead))
    tree, goals = _explored(model, _end(model, lead), max_states)
    covered: set[Goal] = set()
    count = 0
    for goal, number in sorted(goals.items(), key=lambda found: -found[1]):
        if goal in covered:
            continue
        path = _path(tree, number)
        for cue in path:
            covered.update(_goals(cue))
        count += 1
        yield _finished(model, f"{scenario.name} {count}", (*lead, *path))


def of_bug(bug: Bug) -> Score | None:
    """Return the way on which the model finds *bug*, as far as healthy rules go that way."""
    row = hunt(bug)
    if row.violation is None:
        return None
    model = Model(SCENARIOS[bug.scenario])
    trace = (*_taken(bug.lead), *row.violation.trace)
    return _finished(model, bug.name, _cues(model, Position(begin(model)), trace))


def by_chance(scenario: Scenario, *, seed: int, moves: int) -> Score:
    """Return a walk of so many *moves* through *scenario*; the same seed goes the same way."""
    chance = random.Random(f"{scenario.name} {seed}")  # noqa: S311 - no secret
    model = Model(scenario)
    cues = list(_cues(model, Position(begin(model)), _taken(scenario.lead)))
    position = _end(model, cues)
    for _ in range(moves):
        kinds = _kinds(_playable(model, position))
        if kinds.keys() <= {"deliver"}:
            break
        # First what happens, then to whom: the many arguments of a move may not crowd others out.
        weights = [_WEIGHTS.get(name, 1) for name in kinds]
        (cues_of_kind,) = chance.choices(list(kinds.values()), weights)
        cue = chance.choice(cues_of_kind)
        cues.append(cue)
        position = cue.after
    return _finished(model, f"{scenario.name} by chance, seed {seed}", tuple(cues))


def _kinds(cues: Iterable[Cue]) -> dict[str, list[Cue]]:
    kinds: dict[str, list[Cue]] = {}
    for cue in cues:
        kinds.setdefault(cue.taken.name, []).append(cue)
    return kinds


def _playable(model: Model, position: Position) -> Iterator[Cue]:
    """Yield what may happen next, and the real writer can follow."""
    world = position.world
    for move in MOVES:
        for argument in list(move.choices(model, world)):
            cue = _cue(model, position, Taken(move.name, argument))
            if cue is not None:
                yield cue


def _explored(
    model: Model, root: Position, max_states: int
) -> tuple[list[tuple[int, Cue | None]], dict[Goal, int]]:
    """Return the states by number, with what each was reached by, and where each goal is first."""
    names = Names()
    known = {_key(names, root)}
    tree: list[tuple[int, Cue | None]] = [(-1, None)]
    goals: dict[Goal, int] = {}
    waiting = deque([(0, root)])
    while waiting and len(tree) < max_states:
        number, position = waiting.popleft()
        for cue in _playable(model, position):
            key = _key(names, cue.after)
            news = [goal for goal in _goals(cue) if goal not in goals]
            if key in known and not news:
                continue
            tree.append((number, cue))
            goals.update(dict.fromkeys(news, len(tree) - 1))
            if key not in known:
                known.add(key)
                waiting.append((len(tree) - 1, cue.after))
    return tree, goals


def _key(names: Names, position: Position) -> tuple[bytes, Stand, int]:
    return names.key(position.world), position.stand, position.rounds


def _path(tree: list[tuple[int, Cue | None]], number: int) -> tuple[Cue, ...]:
    path: list[Cue] = []
    while (cue := tree[number][1]) is not None:
        path.append(cue)
        number = tree[number][0]
    return tuple(reversed(path))


def _goals(cue: Cue) -> Iterator[Goal]:
    yield cue.taken
    yield (cue.taken.name, cue.after.stand)
    yield from _ways(cue)
    for event in cue.events:
        if isinstance(event, Gated):
            part = event.part
            yield ("gate", event.is_accepted, part.is_accepted, part.is_rejected, part.acked > 0)


def _ways(cue: Cue) -> Iterator[Goal]:
    """Yield how the states of parts change."""
    writer = cue.before.writer
    before = _states(writer.parts if writer is not None else None)
    writer = cue.after.world.writer
    after = _states(writer.parts if writer is not None else None)
    for part, state in after.items():
        if before.get(part) is not state:
            yield (cue.taken.name, before.get(part), state)


def _states(parts: object) -> dict[tuple[int, int], PartState]:
    if not callable(parts):
        return {}
    return {(part.epoch, part.trigger_id): state for state in PartState for part in parts(state)}


def _taken(lead: Iterable[tuple[str, object]]) -> tuple[Taken, ...]:
    return tuple(Taken(name, argument) for name, argument in lead)


def _cues(model: Model, position: Position, trace: Iterable[Taken]) -> tuple[Cue, ...]:
    """Return the cues of *trace*, with what the real writer does before it can go that way.

    What is not possible where it stands is left out.
    """
    cues: list[Cue] = []
    for taken in trace:
        before = position
        on_the_way: list[Cue] = []
        while (cue := _cue(model, before, taken)) is None and before.stand in _NEXT:
            step = _cue(model, before, _NEXT[before.stand])
            if step is None:  # the controller has forgotten the session that it would go by
                break
            on_the_way.append(step)
            before = step.after
        if cue is not None:
            cues += (*on_the_way, cue)
            position = cue.after
    return tuple(cues)


def _cue(model: Model, position: Position, taken: Taken) -> Cue | None:
    try:
        return follow(model, position, taken)
    except ValueError:
        return None


def _end(model: Model, cues: Sequence[Cue]) -> Position:
    return cues[-1].after if cues else Position(begin(model))


def _finished(model: Model, name: str, cues: Sequence[Cue]) -> Score:
    """Return the score of *cues*, between a power-up and an end that leaves no part on the line."""
    scenario = model.scenario
    patient = Model(replace(scenario, haste=Haste.NONE, idle_steps=99, early_steps=0))
    farewell = _cues(patient, _end(model, cues), (*_WAY_OUT, *_FAREWELL))
    return Score(name, scenario, tuple(_warm_up(patient)), (*cues, *farewell))


def _warm_up(model: Model) -> Iterator[Cue]:
    """Yield the way to where a search begins; its last scan is one that a search would not make."""
    position = Position(model.cold(CLOCK_AT_BOOT))
    for taken in _taken(WARM_UP):
        cue = _cue(model, position, taken)
        if cue is None:
            step = MOVES_BY_NAME[taken.name].effect(model, position.world, taken.argument)
            assert step is not None
            cue = Cue(taken, position.world, Position(step.world), step.world.writer, ())
        yield cue
        position = cue.after
