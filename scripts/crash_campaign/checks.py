"""What must hold of every disk that a power cut leaves, each under its name.

The judge of it is not the code under test: a slot is good when it holds the very bytes that were
released, and what must have survived is what the station held to be done.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn, TypeVar

from crash_campaign.course import Scenario, has_ended
from crash_campaign.facts import Facts, trusted_versions
from crash_campaign.judge_here import places_in
from crash_campaign.station import HereStation
from crash_campaign.world import BAD, World
from taktgate.contracts.activation import Activation
from taktgate.contracts.staged import StagedModel
from taktgate.contracts.twins import StagingPhase
from taktgate.inspection.activation_file import ActivationFiles
from taktgate.inspection.judge.process import boot_model
from taktgate.staging.activation import slots_in_use
from taktgate.staging.journal import ANNOUNCED_FILE, RECORD_FILE, Journal
from taktgate.staging.slots.disk import Disk
from taktgate.staging.station_stager import TRUST_FOLDER

T = TypeVar("T")

INVARIANTS: Final = {
    "promise": "what a document was durably changed to is there after the cut, or what came next",
    "whole": "no document is damaged, so the generation before is never needed",
    "boot": "the judge boots the old model or the new one, or none where there never was one",
    "verified": "what it boots is loadable, and byte for byte what was released",
    "proven": "what it boots has earned this station's trust on the line",
    "announced": "the slot that is announced holds what is announced, whole",
    "trial on record": "what judges is on record, as confirmed or on trial",
    "blocked": "a rollback that was decided stays decided",
    "one retry": "a trial is tried again once at most",
    "kept": "no slot in use is collected or changed",
    "trust": "the registry's metadata never goes back",
    "completes": "after a restart the order comes to its end",
    "outcome": "that end is the right one, announced with the right digest",
    "tidy": "nothing half-made stays on the slots volume",
    "lasts": "the next start boots what was confirmed",
    "reason": "a disk that refuses is reported by its typed reason",
    "start": "the real processes come to the verdict of the model that is to judge, in time",
    "crash": "nothing raises that should not",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One invariant that does not hold."""

    invariant: str
    message: str


class BrokenError(Exception):
    """An invariant does not hold: the first that is found ends the check of a state."""

    def __init__(self, invariant: str, message: str) -> None:
        super().__init__(f"{invariant}: {message}")
        self.violation = Violation(invariant=invariant, message=message[:400])


def require(invariant: str, is_held: bool, message: str) -> None:
    """Raise BrokenError unless *is_held*."""
    assert invariant in INVARIANTS
    if not is_held:
        raise BrokenError(invariant, message)


def broken(invariant: str, message: str) -> NoReturn:
    """Raise BrokenError."""
    require(invariant, is_held=False, message=message)
    raise AssertionError


class Promises:
    """What a recording's station held to be done, and what it went on to do."""

    def __init__(self, facts: Sequence[Facts], scenario: Scenario) -> None:
        self.facts = facts
        self.scenario = scenario

    def either(self, moment: int, of: Callable[[Facts], T]) -> list[T]:
        """Return *of* at *moment*, and the next other value: being written, it may be there."""
        now = of(self.facts[moment])
        later = (of(each) for each in self.facts[moment + 1 :])
        return [now, next((value for value in later if value != now), now)]

    def asked(self, moment: int) -> Any:
        """Return what the twin asks for then, or will ask for as soon as it asks."""
        return next((each.desired for each in self.facts[moment:] if each.desired), {})


def check(root: Path, world: World, promises: Promises, moments: Sequence[int]) -> Violation | None:
    """Hold the station in *root* against every invariant; return the first that is broken."""
    try:
        _check_promises(root, promises, moments)
        _check_boot(root, world, promises, moments)
        _check_announced(root, world, promises)
        _carry_on(root, world, promises, moments[-1])
    except BrokenError as broken:
        return broken.violation
    except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding
        return Violation(invariant="crash", message=f"{type(error).__name__}: {error}"[:400])
    return None


def _check_promises(root: Path, promises: Promises, moments: Sequence[int]) -> None:
    recalled = ActivationFiles(folder=root / "state").recall()
    is_whole = recalled.fault is None or promises.scenario.is_forgotten
    require("whole", is_whole, f"{recalled.fault}")
    journal = Journal(root / "slots", disk=Disk())
    versions = trusted_versions(root / "slots" / TRUST_FOLDER)
    for moment in moments:
        _check_activation(recalled.activation, promises, moment)
        for name, found, may in (
            (RECORD_FILE, journal.record, promises.either(moment, lambda facts: facts.record)),
            (
                ANNOUNCED_FILE,
                journal.announced,
                promises.either(moment, lambda facts: facts.announced),
            ),
        ):
            if found not in may:
                broken("promise", f"{name} says {found}, promised {may}")
        for name, version in promises.facts[moment].trust.items():
            found_version = versions.get(name, -1)
            require("trust", found_version >= version, f"{name}: {found_version} after {version}")


def _check_activation(activation: Activation, promises: Promises, moment: int) -> None:
    allowed = promises.either(moment, lambda facts: facts.activation)
    if activation not in allowed:
        promised = [each.generation for each in allowed]
        message = f"activation generation {activation.generation}, promised {promised}"
        broken("promise", message)
    _check_on_record(activation, promises.facts[moment])


def _check_on_record(activation: Activation, facts: Facts) -> None:
    trial = activation.trial
    refs = (
        activation.last_known_good,
        activation.previous_good,
        trial.candidate if trial is not None else None,
    )
    known = {ref.model.digest for ref in refs if ref is not None}
    known |= {each.digest for each in activation.blocked}
    require("trial on record", facts.live is None or facts.live in known, f"{facts.live} judges")
    attempts = trial.attempts if trial is not None else 1
    require("one retry", attempts <= 2, f"attempt {attempts}")


def _check_boot(root: Path, world: World, promises: Promises, moments: Sequence[int]) -> None:
    """Decide as the judge's process does."""
    load, _ = boot_model(places_in(root, world.config))
    booted = None if load is None else load.digest
    for moment in moments:
        allowed = {
            good.model.digest if good is not None and activation.halt is None else None
            for activation in promises.either(moment, lambda facts: facts.activation)
            for good in [activation.last_known_good]
        }
        require("boot", booted in allowed, f"boots {booted}, may boot {sorted(map(str, allowed))}")
        proven = frozenset().union(*promises.either(moment, lambda facts: facts.proven))
        is_first = not proven
        require("proven", booted is None or is_first or booted in proven, f"boots {booted}")


def _check_announced(root: Path, world: World, promises: Promises) -> None:
    announced = Journal(root / "slots", disk=Disk()).announced
    if announced is not None and not promises.scenario.is_damaged:
        _require_whole("announced", root, world, announced)


def _require_whole(invariant: str, root: Path, world: World, staged: StagedModel) -> None:
    why = fault_of(root / "slots" / staged.slot, world, staged.model.digest)
    require(invariant, why is None, f"{staged.slot}: {why}")


def fault_of(slot: Path, world: World, digest: str) -> str | None:
    """Return what is wrong with *slot*, which should hold the released bytes of *digest*."""
    files = world.by_digest[digest].files
    found = {
        path.relative_to(slot).as_posix(): path for path in slot.rglob("*") if not path.is_dir()
    }
    if found.keys() != files.keys():
        return f"holds {len(found)} files of {len(files)}"
    wrong = [name for name, path in found.items() if path.read_bytes() != files[name]]
    return f"{wrong[0]} is not what was released" if wrong else None


def _carry_on(root: Path, world: World, promises: Promises, moment: int) -> None:
    """Start the station, and let its order come to an end.

    The operator takes back a hold, and there will be a moment at which the line is off.
    """
    facts, scenario = promises.facts[moment], promises.scenario
    station = HereStation(root, world, staging=scenario.staging)
    station.judge.proven |= facts.proven
    watch = Watch(station, is_damaged=scenario.is_damaged)
    watch.look(is_boot=True)
    station.recover()
    asked = promises.asked(moment)
    station.ask(asked)
    station.judge.is_enabled = False
    for _ in _rounds(station):
        watch.look()
        station.lift()
    if not has_ended(station):
        broken("completes", f"{station.report()}")
    check_outcome(station, world, facts, asked)
    _check_end(root, world, station, facts)


def _rounds(station: HereStation) -> Iterator[None]:
    for _ in range(60):
        if has_ended(station):
            break
        station.round()
        yield
    station.step_stager()
    yield


class Watch:
    """Holds a station against the rules again and again.

    The bytes of a slot are compared when its folder is another one than before; at the end of a
    check they are compared once more.
    """

    def __init__(self, station: HereStation, *, is_damaged: bool) -> None:
        """Watch *station*; *is_damaged* says that a slot in use is."""
        self._station = station
        self._is_damaged = is_damaged
        self._whole: set[tuple[str, str, int, int]] = set()

    def look(self, *, is_boot: bool = False) -> None:
        """Hold what judges now and what is in use against the rules.

        Raises:
            BrokenError: a rule is broken.
        """
        judge, activation = self._station.judge, self._station.activator.activation
        held = judge.loaded.get(judge.live or "")
        if held is not None and held.ready is not None:
            why = self._fault_of(held.slot, held.digest)
            require("verified", why is None, f"judges from {held.slot}: {why}")
        if is_boot and not self._is_damaged and held is not None:
            is_ready = held.ready is not None
            require("verified", is_ready, f"last-known-good is refused: {held.refused}")
        require("trial on record", not judge.sudden_swaps, f"{judge.sudden_swaps} swapped in")
        trial = activation.trial
        require("one retry", trial is None or trial.attempts <= 2, f"{trial}")
        if self._is_damaged:
            return
        for ref in (activation.last_known_good, activation.previous_good):
            if ref is not None:
                why = self._fault_of(ref.slot, ref.model.digest)
                require("kept", why is None, f"{ref.slot} in use: {why}")
        missing = slots_in_use(activation) - self._station.slots.names()
        require("kept", not missing, f"{sorted(missing)} in use and gone")

    def _fault_of(self, slot: str, digest: str) -> str | None:
        path = self._station.places.slots / slot
        try:
            its = path.stat()
        except FileNotFoundError:
            return "is not there"
        known = (slot, digest, its.st_ino, its.st_mtime_ns)
        if known in self._whole:
            return None
        why = fault_of(path, self._station.world, digest)
        if why is None:
            self._whole.add(known)
        return why


def check_outcome(station: HereStation, world: World, facts: Facts, asked: Any) -> None:
    """Hold the end of the order against what the order asks for."""
    activation, record = station.activator.activation, station.journal.record
    wanted = asked["model"]
    model, good = world.model(wanted["version"]), activation.last_known_good
    if model is None:
        require("outcome", record.phase is StagingPhase.FAILED, f"{record}"[:300])
        return
    bars = {(each.digest, each.order) for each in activation.blocked}
    is_barred = (model.digest, wanted["order"]) in bars
    for bar in facts.activation.blocked:
        cleared = wanted["version"] == BAD or (bar.digest, bar.order) in bars
        require("blocked", cleared, f"{bar.digest} by {bar.order} is not blocked any more")
    if wanted["version"] == BAD or is_barred:
        require("blocked", is_barred, "the bad model is not blocked")
        require("blocked", good is None or good.model.digest != model.digest, "it is trusted")
        require("blocked", station.judge.live != model.digest, "it judges")
        require("outcome", record.phase is StagingPhase.BLOCKED, f"{record}"[:300])
        return
    announced = station.journal.announced
    is_right = announced is not None and (announced.model.digest, announced.order) == (
        model.digest,
        wanted["order"],
    )
    require("outcome", is_right, f"announced is {announced}")
    require("outcome", good is not None and good.model.digest == model.digest, f"good is {good}")


def _check_end(root: Path, world: World, station: HereStation, facts: Facts) -> None:
    left = sorted(path.name for path in (root / "slots").glob(".*"))
    require("tidy", not left, f"left behind: {left}")
    versions = trusted_versions(root / "slots" / TRUST_FOLDER)
    for name, version in facts.trust.items():
        require("trust", versions.get(name, -1) >= version, f"{name} went back from {version}")
    good = station.activator.activation.last_known_good
    if good is None:
        return
    station.judge.restart()
    held = station.judge.loaded.get(station.judge.live or "")
    is_up = held is not None and held.ready is not None and held.digest == good.model.digest
    require("lasts", is_up, f"boots {station.judge.live}, confirmed is {good.model.digest}")
    why = fault_of(root / "slots" / good.slot, world, good.model.digest)
    require("lasts", why is None, f"{good.slot}: {why}")
