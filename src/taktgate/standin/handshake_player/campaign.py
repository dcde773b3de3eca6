"""A whole run: covering traces, those of the seeded bugs, walks by chance; or the seeded bugs."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from taktgate.plc.link.backends import Backend
from taktgate.plc.link.logix import LogixLink
from taktgate.standin.handshake_model.bugs import BUGS
from taktgate.standin.handshake_model.scenarios import SCENARIOS
from taktgate.standin.handshake_player.play import Played, Tally, play
from taktgate.standin.handshake_player.real_bugs import REAL_BUGS, find_real, find_rule
from taktgate.standin.handshake_player.traces import STORM, Score, by_chance, covering, of_bug

Tell = Callable[[str], None]
WALK_MOVES: Final = 60
_STORMY: Final = 2
"""Of so many walks one goes through everything at once, the others through one scenario each."""
_PROGRESS_EVERY: Final = 100
_PLC_BUG: Final = "PLC: "
"""How the names of the model's bugs begin that are in its own PLC program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Find:
    """What became of one bug that was seeded into the real things."""

    name: str
    forgot: str
    played: Played | None
    """None when no trace left the model's way."""


def scores(names: Sequence[str], *, max_states: int, walks: int, seed: int) -> Iterator[Score]:
    """Yield everything that is to be played of the scenarios *names*."""
    for name in names:
        yield from covering(SCENARIOS[name], max_states=max_states)
    for bug in BUGS:
        score = of_bug(bug) if bug.scenario in names else None
        if score is not None:
            yield score
    for number in range(walks):
        scenario = STORM if number % _STORMY == 0 else SCENARIOS[names[number % len(names)]]
        yield by_chance(scenario, seed=seed * 1_000_000 + number, moves=WALK_MOVES)


async def play_all(every: Iterable[Score], *, backend: Backend = LogixLink, tell: Tell) -> Tally:
    """Play *every* score."""
    tally = Tally()
    for score in every:
        tally.add(score, await play(score, backend=backend))
        if tally.traces % _PROGRESS_EVERY == 0:
            tell(f"{tally.traces} traces, {len(tally.findings)} findings")
    return tally


async def find_all(*, tell: Tell) -> tuple[Find, ...]:
    """Seed each bug into the real things, and play until it shows."""
    finds = []
    for bug in BUGS:
        if not bug.name.startswith(_PLC_BUG):
            finds.append(Find(name=bug.name, forgot=bug.forgot, played=await find_rule(bug)))
            tell(_words(finds[-1]))
    for real in REAL_BUGS:
        finds.append(Find(name=real.name, forgot=real.forgot, played=await find_real(real)))
        tell(_words(finds[-1]))
    return tuple(finds)


def as_dict(tally: Tally, *, seed: int, began_s: float) -> dict[str, Any]:
    """Return *tally* for JSON."""
    return {
        "seed": seed,
        "traces": tally.traces,
        "moves": tally.moves,
        "accepted": tally.accepted,
        "rejected": tally.rejected,
        "unsafe": tally.unsafe,
        "differences": len(tally.findings),
        "by_move": dict(sorted(tally.by_move.items())),
        "findings": [
            {"name": one.name, "differences": one.differences, "trace": one.trace}
            for one in tally.findings
        ],
        "seconds": round(time.monotonic() - began_s, 1),
    }


def finds_as_dict(finds: Iterable[Find]) -> dict[str, Any]:
    """Return *finds* for JSON."""
    rows = [
        {
            "name": find.name,
            "forgot": find.forgot,
            "is_found": find.played is not None,
            "moves": 0 if find.played is None else find.played.moves,
            "difference": "" if find.played is None else find.played.differences[0],
        }
        for find in finds
    ]
    found = sum(find.played is not None for find in finds)
    return {"seeded_bugs": len(rows), "seeded_bugs_found": found, "bugs": rows}


def _words(find: Find) -> str:
    return f"{find.name}: {'NOT FOUND' if find.played is None else 'found'}"
