"""A station in one process: the real stager, the real agent and the real boot, without a hub.

The two processes take turns, and time passes as told: so a recording of their calls is the same
each time. What they hold to be done is written down before each call (`Facts`): it must survive.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from opentelemetry.metrics import NoOpMeter

from crash_campaign.facts import Desired, Facts, RowJournal, Rows
from crash_campaign.judge_here import TRIAL_PARTS, HereJudge, places_in
from crash_campaign.tools_here import Clock, HereSmokeTest, Nobody, NotedRegistry, PiecewiseFetcher
from crash_campaign.world import BAD, NAME, World
from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.hold import Hold
from taktgate.contracts.outcome import Lane
from taktgate.contracts.runtime import RUNTIME_FILE
from taktgate.contracts.staged import ActivationPolicy
from taktgate.contracts.twins import StagerReported, StagingPhase
from taktgate.edge.file_system import LOCAL, FileSystem
from taktgate.edge.lane import Datagram
from taktgate.edge.settings import LaneSettings, StagingSettings
from taktgate.inspection.activation_file import ActivationFiles
from taktgate.inspection.agent.activator import Activator, Surroundings
from taktgate.inspection.agent.agent import Agent, Links
from taktgate.inspection.agent.ledger import STATE_WRITE
from taktgate.inspection.agent.phases import Phase
from taktgate.inspection.guardrails.settings import GuardrailSettings
from taktgate.inspection.hold_file import HoldFile
from taktgate.staging.assembly import Assembly, Tools
from taktgate.staging.back_off import BackOff
from taktgate.staging.errors import RetriedError
from taktgate.staging.fetch.pace import Pace
from taktgate.staging.fetch.spool import Spool
from taktgate.staging.instruments import Instruments
from taktgate.staging.registry.client import TRUSTED_ROOT_FILE, TufRegistry
from taktgate.staging.slots.disk import Disk
from taktgate.staging.slots.gate import StationGate
from taktgate.staging.station_stager import TRUST_FOLDER
from taktgate.standin.faulty_files import Fault, FaultyFileSystem

SHADOW_PARTS: Final = 3
LIMIT_ROUNDS: Final = 60
"""So many rounds may an order take to its end: one takes under 20."""
_ROUND_S: Final = 40.0
"""Longer than any back-off."""


def desired(
    world: World, version: str, order: str, policy: ActivationPolicy = ActivationPolicy.IMMEDIATE
) -> Desired:
    """Return the twin document that asks for *version* by *order*."""
    model = {"name": NAME, "version": version, "order": order, "activation": policy}
    return {"model": model, "repository": world.repository}


class HereStation:
    """One station on the folder *root*; a new one on an old folder is a start after a power cut."""

    def __init__(
        self,
        root: Path,
        world: World,
        *,
        files: FileSystem = LOCAL,
        staging: Mapping[str, object] = MappingProxyType({}),
    ) -> None:
        """Boot: the judge first, then the agent; the stager has still to `recover`.

        *staging* changes its settings, unchecked: so a quota may be as small as our bundles.
        """
        self.root, self.world, self.files = root, world, files
        self.limit_rounds = LIMIT_ROUNDS
        self.clock = Clock()
        self.places = places_in(root, world.config)
        for folder in (self.places.slots, self.places.state):
            if not folder.exists():
                folder.mkdir(parents=True)
        self.settings = world.settings
        self.is_heard = False
        bad = world.model(BAD)
        assert bad is not None
        self.judge = HereJudge(self.places, self.settings, frozenset({bad.digest}))
        self.judge.boot()
        self.rows = Rows()
        self._wire_agent(files)
        self._wire_stager(files, self.settings.staging.model_copy(update=dict(staging)))
        self.asked: Desired = {}
        self.reported: set[str] = set()

    def _wire_agent(self, files: FileSystem) -> None:
        memory = ActivationFiles(folder=self.places.state, files=files)
        recalled = memory.recall()
        self.recall_fault = recalled.fault
        if recalled.fault is not None:
            with suppress(OSError):
                memory.repair(recalled.activation)
        world = Surroundings(
            memory=memory,
            command=self.judge.obey,
            audit=lambda _: None,
            alarm=lambda _: None,
            clock=self.clock.nanoseconds,
            wall_clock=lambda: "2026-01-01T00:00:00+00:00",
        )
        guardrails = GuardrailSettings(trial_parts=TRIAL_PARTS, shadow_parts=SHADOW_PARTS)
        self.activator = Activator(recalled.activation, guardrails, world)
        nobody: Any = Nobody()
        self.agent = Agent(
            self.activator,
            links=Links(hub=nobody, judge=nobody, figures=nobody, records=nobody),
            lanes=LaneSettings(edgehub=False),
            announced=self.places.slots / "announced.json",
            clock=self.clock.nanoseconds,
        )

    def _wire_stager(self, files: FileSystem, staging: StagingSettings) -> None:
        places, disk = self.places, Disk(files)
        self._disk = disk
        self.journal = RowJournal(places.slots, disk=disk, wall=self.clock.wall)
        self.registry = NotedRegistry(
            TufRegistry(
                places.slots / TRUST_FOLDER,
                trusted_root=places.config / TRUSTED_ROOT_FILE,
                fetcher=PiecewiseFetcher(),
                disk=disk,
                device_class=self.settings.device_class,
            ),
            places.slots / TRUST_FOLDER,
        )
        tools = Tools(
            disk=disk,
            gate=StationGate(
                config=places.config,
                device_class=self.settings.device_class,
                runtime=places.state / RUNTIME_FILE,
            ),
            registry=self.registry,
            smoke=HereSmokeTest(self.judge),
            spool=lambda path: Spool(path, disk=disk, pace=Pace()),
            clock=self.clock.seconds,
            wall=self.clock.wall,
            back_off=BackOff(chance=lambda: 0.0),
        )
        assembly = Assembly.of(
            self.journal,
            places.slots,
            places.state,
            tools=tools,
            settings=staging,
            instruments=Instruments(NoOpMeter("crash"), phase=lambda: self.journal.record.phase),
            code="crash",
        )
        self.slots, self.stager, self.desk = assembly.slots, assembly.stager, assembly.desk

    def recover(self) -> None:
        """Go on after a start, as the stager's process does."""
        try:
            self.stager.recover()
        except RetriedError as error:
            self.reported.add(error.reason)

    def ask(self, document: Desired) -> None:
        """Let the twin ask for *document*."""
        self.asked = document
        self.desk.take(document)

    def forget_order(self) -> None:
        """Let the twin ask for nothing."""
        self.desk.take({})

    def hold(self) -> None:
        """Let an operator of the station say: not now; who is told when the disk refuses."""
        hold = Hold(contract=CONTRACT_VERSION, by="crash", reason="not now", at="")
        self._answer(lambda: self._hold_file.put(hold))

    def lift(self) -> None:
        """Let the operator take it back, if it was said; who is told when the disk refuses."""
        self._answer(self._hold_file.lift)

    def _answer(self, change: Callable[[], object]) -> None:
        try:
            change()
        except OSError:
            self.reported.add(STATE_WRITE)  # the answer to the operator's request

    def kill_stager(self) -> None:
        """Have the stager's process die: what it would still do to the disk does not happen."""
        self._disk.files = FaultyFileSystem(fault=Fault.POWER_CUT)

    @property
    def phase(self) -> StagingPhase:
        """Return where the stager's order stands."""
        return self.journal.record.phase

    @property
    def _hold_file(self) -> HoldFile:
        return HoldFile(folder=self.places.state, files=self.files)

    def restart_agent(self) -> None:
        """Have the agent die alone and start anew; the judge judges on."""
        self._wire_agent(self.files)

    def hear(self) -> None:
        """Let the agent hear what the judge says is."""
        self._say("status", self.judge.status())

    def step_stager(self, check: Callable[[], None] = lambda: None) -> None:
        """Let the stager do what it can do now."""
        self.desk.work(check)
        self._note()

    def step_agent(self, parts: int = 1) -> None:
        """Let the agent hear the judge, and some parts come."""
        self.hear()
        self.agent.tick()
        for _ in range(parts):
            self.hear()
            self.judge.part(self._say)
        self.hear()
        self._note_commissioning()
        self._note_activator()

    def until(self, phase: Phase) -> None:
        """Let the agent go on by single steps until it stands in *phase*."""
        steps = (self.hear, self.agent.tick, lambda: self.judge.part(self._say))
        for _ in range(LIMIT_ROUNDS):
            for step in steps:
                if self.activator.phase is phase:
                    return
                step()
                self._note_activator()
        raise AssertionError(f"{phase} is not reached: {self.activator.phase}")

    def round(self) -> None:
        """Let time pass and everybody do what can be done now."""
        self.clock.now_s += _ROUND_S
        self.step_stager()
        self.step_agent(parts=4)

    def settle(self, is_done: Callable[["HereStation"], bool]) -> bool:
        """Go on until *is_done*, within the rounds that there are; tell whether it came to that."""
        for _ in range(self.limit_rounds):
            if is_done(self):
                return True
            self.round()
        return is_done(self)

    def escape(self, digest: str) -> None:
        """Let a person find a part defective that the model *digest* had passed."""
        self.activator.escape(1, "bright", digest)

    def clear(self, digest: str) -> bool:
        """Let the operator clear *digest*, which was sent back; who is told when that fails."""
        refusal = self.activator.clear(digest)
        if refusal is not None:
            self.reported.add(refusal.reason)
        return refusal is None

    def report(self) -> StagerReported:
        """Return what the stager says is."""
        return self.desk.report()

    def facts(self) -> Facts:
        """Return what the station holds to be done."""
        return Facts(
            desired=self.asked,
            record=self.journal.record,
            announced=self.journal.announced,
            activation=self.activator.activation,
            trust=self.registry.accepted,
            live=self.judge.live,
            proven=frozenset(self.judge.proven),
            staging_row=self.journal.last,
            activation_row=self.rows.last,
        )

    def _say(self, kind: str, payload: bytes) -> None:
        self.agent.handle(Datagram(kind=kind, lane=Lane.LOCAL, payload=payload))

    def _note(self) -> None:
        """Note what is reported, where somebody listens: it takes time."""
        if not self.is_heard:
            return
        error = self.report().lastError
        if error is not None:
            self.reported.add(error.reason)
        self._note_activator()

    def _note_activator(self) -> None:
        if self.activator.error is not None:
            self.reported.add(self.activator.error.reason)

    def _note_commissioning(self) -> None:
        """A station's first model is trusted without a trial: it passed golden, and no other is."""
        good = self.activator.activation.last_known_good
        if good is not None and not self.judge.proven:
            self.judge.proven.add(good.model.digest)
