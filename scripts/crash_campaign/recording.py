"""A scenario recorded: the disk before, every call, and what was promised at each moment."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crash_campaign.course import NO_CHANGES, Scenario
from crash_campaign.disk import Tree
from crash_campaign.facts import Facts, Rows
from crash_campaign.station import LIMIT_ROUNDS, HereStation
from crash_campaign.world import World
from taktgate.edge.file_system import LOCAL, FileSystem
from taktgate.standin.recorded_files import Call, RecordingFileSystem, nothing_escapes

_COURSE = logging.getLogger("taktgate.inspection.agent.course")


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """What a scenario did to its disk.

    Attributes:
        scenario: Which.
        base: The disk before.
        calls: What was done to it.
        facts: What the station held to be done before each call, and at the end: one more.
        rows: Rows of the state tables that were entered.
    """

    scenario: Scenario
    base: Tree
    calls: Sequence[Call]
    facts: Sequence[Facts]
    rows: frozenset[str]


class Lives:
    """Starts a scenario's station, and remembers the present one."""

    def __init__(
        self,
        root: Path,
        world: World,
        *,
        files: FileSystem = LOCAL,
        limit_rounds: int = LIMIT_ROUNDS,
        is_heard: bool = False,
        staging: Mapping[str, object] = NO_CHANGES,
    ) -> None:
        self._root, self._world = root, world
        self._limit_rounds = limit_rounds
        self._is_heard = is_heard
        self._staging = staging
        self.files = files
        self.station: HereStation | None = None
        self.rows = Rows()

    def start(self, staging: Mapping[str, object] | None = None) -> HereStation:
        """Start it; what the line has seen of a model is not forgotten with a process."""
        before = self.station
        station = HereStation(
            self._root,
            self._world,
            files=self.files,
            staging=self._staging if staging is None else staging,
        )
        station.is_heard = self._is_heard
        station.rows = self.rows
        station.limit_rounds = self._limit_rounds
        good = station.activator.activation.last_known_good
        if before is not None:
            station.judge.proven |= before.judge.proven
            station.reported |= before.reported
        elif good is not None:
            previous = station.activator.activation.previous_good
            station.judge.proven = {ref.model.digest for ref in (good, previous) if ref is not None}
        self.station = station
        return station

    def press(self) -> None:
        """Let the operator put a hold, and lift it at once."""
        if self.station is not None:
            self.station.hold()
            self.station.lift()


@contextmanager
def rows_of_activation(rows: Rows) -> Iterator[None]:
    """Have *rows* hear what the agent logs of its transitions."""
    level = _COURSE.level
    _COURSE.setLevel(logging.INFO)
    _COURSE.addHandler(rows)
    try:
        yield
    finally:
        _COURSE.removeHandler(rows)
        _COURSE.setLevel(level)


def record(scenario: Scenario, folder: Path, world: World) -> Recording:
    """Let *scenario* act on the station in *folder*."""
    facts: list[Facts] = []
    entered = set[str]()
    lives = Lives(folder, world, staging=scenario.staging)
    if scenario.is_pressed:
        lives.rows.entered = lives.press
    tree = read_tree(folder)

    def note() -> None:
        # Before the station is whole, what an earlier start held still stands.
        if lives.station is not None:
            facts.append(lives.station.facts())
            entered.update((facts[-1].staging_row, facts[-1].activation_row))
        else:
            facts.append(first)

    first = HereStation(folder, world).facts()
    files = RecordingFileSystem(folder, before=note)
    lives.files = files
    with rows_of_activation(lives.rows), nothing_escapes(folder):
        scenario.act(lives.start, world)
    note()
    return Recording(
        scenario=scenario, base=tree, calls=files.calls, facts=facts, rows=frozenset(entered)
    )


def read_tree(folder: Path) -> Tree:
    """Return all that lies below *folder*."""
    return {
        path.relative_to(folder).as_posix(): None if path.is_dir() else path.read_bytes()
        for path in sorted(folder.rglob("*"))
    }


def write_tree(tree: Tree, folder: Path) -> None:
    """Lay *tree* out in the new *folder*."""
    folder.mkdir(parents=True)
    for path in sorted(tree):
        content = tree[path]
        if content is None:
            (folder / path).mkdir()
        else:
            (folder / path).write_bytes(content)
