"""Any order of orders, parts, losses, restarts and full disks: what must hold after each step."""

from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.unit.inspection.models_of_a_station import Station, model, notice

from taktgate.contracts.activation import Activation
from taktgate.contracts.verdict import Reason, Verdict
from taktgate.edge.clock import SECOND
from taktgate.inspection.agent.judge_commands import Command
from taktgate.inspection.agent.phases import Phase
from taktgate.inspection.control import RunnerState, Swap
from taktgate.inspection.guardrails.settings import GuardrailSettings

LETTERS = st.sampled_from("abcd")
SETTINGS = GuardrailSettings(shadow_parts=4, trial_parts=10, cool_down_parts=2)


class LossyStation(Station):
    """A judge that does not hear every command."""

    is_deaf: bool = False

    def obey(self, command: Command) -> None:
        if isinstance(command, Swap):
            self.require_permission(command)
        if not self.is_deaf:
            super().obey(command)

    def require_permission(self, swap: Swap) -> None:
        """No model is asked to judge but one that the disk calls good, or tries."""
        disk = self.disk
        trusted = {ref.model.digest for ref in (disk.last_known_good, disk.previous_good) if ref}
        tried = set() if disk.trial is None else {disk.trial.candidate.model.digest}
        assert swap.digest in trusted | tried
        assert disk.halt is None or swap.digest in tried


class Models(RuleBasedStateMachine):
    """One station and whatever may befall it."""

    def __init__(self) -> None:
        super().__init__()
        self.station = LossyStation(settings=SETTINGS)
        self.agent = self.station.agent()
        self.orders = 0
        self.last_disk: Activation = self.station.disk

    @rule(letter=LETTERS, policy=st.sampled_from(["immediate", "changeover"]))
    def order(self, letter: str, policy: str) -> None:
        self.orders += 1
        self.agent.staged(notice(letter, f"o{self.orders}", activation=policy))

    @rule(letter=LETTERS)
    def order_again(self, letter: str) -> None:
        self.agent.staged(notice(letter, f"o{max(1, self.orders)}"))

    @rule(letter=LETTERS)
    def request(self, letter: str) -> None:
        ref = self.agent.operator.order_for(model(letter), f"slot-{letter}")
        self.agent.request(ref)

    @rule(letter=LETTERS)
    def clear(self, letter: str) -> None:
        self.agent.clear(model(letter).digest)

    @rule(rounds=st.integers(1, 4))
    def hear(self, rounds: int) -> None:
        self.station.settle(self.agent, rounds)

    @rule(count=st.integers(1, 12), said=st.sampled_from(["pass", "fail", "dead", "mute"]))
    def parts(self, count: int, said: str) -> None:
        kinds: dict[str, tuple[Verdict, Reason]] = {
            "pass": (Verdict.PASS, Reason.NONE),
            "fail": (Verdict.FAIL, Reason.NONE),
            "dead": (Verdict.NO_DECISION, Reason.MODEL_ERROR),
            "mute": (Verdict.NO_DECISION, Reason.NO_FRAME),
        }
        for _ in range(count):
            if self.station.live is not None:
                self.station.part(self.agent, *kinds[said])

    @rule(count=st.integers(1, 6), does_agree=st.booleans())
    def pairs(self, count: int, does_agree: bool) -> None:
        for _ in range(count):
            if self.station.live is not None:
                said = Verdict.PASS if does_agree else Verdict.FAIL
                self.station.pair(self.agent, shadow=said)

    @rule(letter=LETTERS)
    def escape(self, letter: str) -> None:
        self.agent.escape(self.station.next_trigger, "crack", model(letter).digest)

    @rule()
    def restart_agent(self) -> None:
        self.agent = self.station.agent()

    @rule()
    def restart_judge(self) -> None:
        self.station.restart_judge()
        self.station.shadow = None
        if self.station.disk.halt is not None:
            self.station.live, self.station.loaded = None, {}

    @rule()
    def power_cut(self) -> None:
        self.restart_judge()
        self.restart_agent()

    @rule(letter=LETTERS, state=st.sampled_from(list(RunnerState)))
    def runner_changes(self, letter: str, state: RunnerState) -> None:
        if model(letter).digest in self.station.loaded:
            self.station.loaded[model(letter).digest] = state

    @rule(letter=LETTERS, does_refuse=st.booleans())
    def refuse(self, letter: str, does_refuse: bool) -> None:
        change: Any = self.station.refusing.add if does_refuse else self.station.refusing.discard
        change(model(letter).digest)

    @rule(
        is_full=st.booleans(),
        is_deaf=st.booleans(),
        is_enabled=st.sampled_from([None, True, False]),
    )
    def world(self, is_full: bool, is_deaf: bool, is_enabled: bool | None) -> None:
        self.station.disk_is_full, self.station.is_deaf = is_full, is_deaf
        self.station.is_enabled = is_enabled

    @rule(seconds=st.integers(1, 90))
    def wait(self, seconds: int) -> None:
        self.station.now_ns += seconds * SECOND
        self.agent.tick()

    @invariant()
    def last_known_good_is_never_lost(self) -> None:
        before, now = self.last_disk, self.station.disk
        self.last_disk = now
        assert before.last_known_good is None or now.last_known_good is not None
        if before.last_known_good == now.last_known_good:
            return
        assert now.last_known_good is not None
        allowed = [before.previous_good]
        allowed += [None if before.trial is None else before.trial.candidate]
        digests = {ref.model.digest for ref in (*allowed, before.last_known_good) if ref}
        if before.last_known_good is not None or before.trial is not None:
            assert now.last_known_good.model.digest in digests

    @invariant()
    def what_was_blocked_last_is_no_way_back(self) -> None:
        disk = self.station.disk
        if disk.blocked and disk.blocked[-1].order == disk.settled_order and disk.halt is None:
            digest = disk.blocked[-1].digest
            trusted = (disk.last_known_good, disk.previous_good)
            assert digest not in {ref.model.digest for ref in trusted if ref}

    @invariant()
    def no_trial_goes_on_without_a_record_of_it(self) -> None:
        if self.agent.phase in (Phase.SWAPPING, Phase.TRIAL):
            trial, candidate = self.agent.activation.trial, self.agent.candidate
            assert trial is not None
            assert candidate == trial.candidate
            assert trial.attempts <= 2 or self.station.disk.last_known_good is None

    @invariant()
    def memory_is_never_ahead_of_the_disk(self) -> None:
        assert self.agent.activation == self.station.disk

    def teardown(self) -> None:
        """Whatever happened: in a quiet world the station comes to rest, and says what it has."""
        station = self.station
        station.disk_is_full, station.is_deaf, station.is_enabled = False, False, False
        station.refusing.clear()
        for digest in station.loaded:
            station.loaded[digest] = RunnerState.READY
        for _ in range(60):
            station.now_ns += SECOND
            station.settle(self.agent, 2)
            if station.live is not None:
                station.part(self.agent)
                station.pair(self.agent)
        assert self.agent.phase is Phase.IDLE, self.agent.phase
        disk = station.disk
        if disk.last_known_good is not None and disk.halt is None:
            trusted = (disk.last_known_good, disk.previous_good)
            assert station.live in {ref.model.digest for ref in trusted if ref}
        if disk.halt is not None:
            assert station.live is None


TestModels = Models.TestCase
TestModels.settings = settings(max_examples=30, stateful_step_count=40, deadline=None)
