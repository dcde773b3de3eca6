"""The search: breadth first, so that the first violation found is the shortest there is."""

from array import array
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

from taktgate.standin.handshake_model.events import Event
from taktgate.standin.handshake_model.model import Model, Step
from taktgate.standin.handshake_model.moves import Taken, successors
from taktgate.standin.handshake_model.plc_program import Gated
from taktgate.standin.handshake_model.properties import Property, broken
from taktgate.standin.handshake_model.world import Names, World

_PROGRESS_EVERY = 20_000
Trace = tuple[Taken, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """A broken property, and the shortest way to it."""

    property: Property
    event: Event
    trace: Trace


@dataclass(slots=True, kw_only=True)
class Findings:
    """What a search found. `is_exhausted` tells whether it saw all there is."""

    states: int = 0
    steps: int = 0
    depth: int = 0
    accepts: int = 0
    rejects: int = 0
    is_exhausted: bool = False
    moves: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)


class _Tree:
    """The states by number: what each was reached by."""

    def __init__(self) -> None:
        self._names = Names()
        self._known: set[bytes] = set()
        self._parents = array("q")
        self._taken: list[Taken | None] = []
        self._labels: dict[Taken, Taken] = {}

    def __len__(self) -> int:
        return len(self._taken)

    def add(self, world: World, parent: int, taken: Taken | None) -> int | None:
        """Return the number of *world*, None when it is known."""
        key = self._names.key(world)
        if key in self._known:
            return None
        self._known.add(key)
        self._parents.append(parent)
        self._taken.append(taken and self._labels.setdefault(taken, taken))
        return len(self._taken) - 1

    def trace(self, number: int) -> Trace:
        """Return the moves that lead to state *number*."""
        moves: list[Taken] = []
        while (taken := self._taken[number]) is not None:
            moves.append(taken)
            number = self._parents[number]
        return tuple(reversed(moves))


def explore(
    model: Model,
    first: World,
    *,
    max_states: int | None = None,
    max_violations: int = 1,
    wanted: str | None = None,
    tell: Callable[[int, int], None] = lambda states, depth: None,
) -> Findings:
    """Visit every state that *first* leads to, and hold each step against the properties.

    Ends early after *max_violations*, or when *max_states* are known. With *wanted*, the name of a
    property, only its violations count. *tell* hears of the number of states and the depth from
    time to time.
    """
    found, tree = Findings(), _Tree()
    tree.add(first, -1, None)
    waiting = deque([(0, 0, first)])
    while waiting:
        number, depth, world = waiting.popleft()
        found.depth = depth
        for taken, step in successors(model, world):
            found.steps += 1
            found.moves[taken.name] += 1
            _count(found, step)
            for one, event in broken(model, step, wanted):
                trace = (*tree.trace(number), taken)
                found.violations.append(Violation(property=one, event=event, trace=trace))
                if len(found.violations) >= max_violations:
                    found.states = len(tree)
                    return found
            reached = tree.add(step.world, number, taken)
            if reached is not None:
                waiting.append((reached, depth + 1, step.world))
                if reached % _PROGRESS_EVERY == 0:
                    tell(reached, depth + 1)
        if max_states is not None and len(tree) >= max_states:
            found.states = len(tree)
            return found
    found.states, found.is_exhausted = len(tree), True
    return found


def _count(found: Findings, step: Step) -> None:
    for _, event, _ in step.moments:
        if isinstance(event, Gated):
            found.accepts += event.is_accepted
            found.rejects += not event.is_accepted
