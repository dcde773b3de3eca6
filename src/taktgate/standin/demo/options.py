"""What a demo run is asked to do, checked before anything is started."""

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

from taktgate.standin.demo.model_fault_kinds import MODEL_FAULTS
from taktgate.standin.demo.plc_fault_kinds import PLC_FAULTS
from taktgate.standin.demo.power_plan import MOST_CUTS

FAULT_FORM: Final = "kill:PROCESS@SECONDS, stop:PROCESS@SECONDS+SECONDS or stop:edgehub@..."

PROCESSES: Final = {
    "inference": "modules/inference/main.py",
    "inference/judge": "taktgate.inspection.judge.process",
    "inference/runner": "taktgate.inspection.runner.process",
    "inference/agent": "taktgate.inspection.agent.process",
    "plc_writer": "modules/plc_writer/main.py",
    "plc_writer/writer": "taktgate.plc.writer.process",
    "plc_writer/agent": "taktgate.plc.agent.process",
    "model_stager": "modules/model_stager/main.py",
    "model_stager/stager": "taktgate.staging.stager_process",
}
"""What can be killed, and the part of its command line that tells it from the others."""

_OCTET: Final = re.compile(r"0|[1-9][0-9]{0,2}")

EDGEHUB: Final = "edgehub"

_FAULT: Final = re.compile(
    r"(?P<action>kill|stop):(?P<target>[a-z_/]+)@(?P<at>\d+(\.\d+)?)(\+(?P<for>\d+(\.\d+)?))?"
)


PLC_FAULT_FORM: Final = "NAME@SECONDS[+SECONDS], list, or all"
PLC_FAULT_LIST: Final = "list"
MODEL_FAULT_LIST: Final = "list"
PLC_FAULT_ALL: Final = "all"
_PLC_FAULT: Final = re.compile(r"(?P<name>[a-z-]+)@(?P<at>\d+(\.\d+)?)(\+(?P<for>\d+(\.\d+)?))?")
_FIRST_PLC_FAULT_S: Final = 4.0
_LONGEST_PLC_FAULT_S: Final = 50.0
_ROOM_S: Final = 2.0
"""Between the end of the last PLC fault and the last part, so that the line's return is seen."""


class OptionError(ValueError):
    """An option breaks its rule; the message names the option and the rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedFault:
    """One thing to break: `kill` ends a process at once, `stop` silences it for a while."""

    action: str
    target: str
    at_s: float
    """Seconds after the first part."""
    duration_s: float

    @property
    def name(self) -> str:
        """Return what is done, in words."""
        return f"{self.action} {self.target}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlannedPlcFault:
    """One thing to do to the PLC or its link."""

    name: str
    """One of PLC_FAULTS."""
    at_s: float
    """Seconds after the first part."""
    duration_s: float
    """How long it lasts; 0 strikes once."""

    @property
    def end_s(self) -> float:
        """Return when it is over, in seconds after the first part."""
        return self.at_s + self.duration_s


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoOptions:
    """One run of `taktgate demo`."""

    parts: int = 60
    rate: float = 2.0
    images: str | None = None
    """A folder with a labels file; None takes the image set of the sample bundle."""
    offline: bool = False
    """Use the generated weld seams and their bundle: no installed image set is needed."""
    seed: int = 7
    defective_fraction: float = 0.1
    deadline_ms: int = 200
    local_lane: bool = True
    faults: tuple[PlannedFault, ...] = ()
    plc_faults: tuple[PlannedPlcFault, ...] = ()
    """In the order in which they strike."""
    in_turn: bool = False
    """Let each fault strike when the line has come back from the one before, and no sooner."""
    canary: bool = False
    bad_model: bool = False
    model_fault: str | None = None
    """One of MODEL_FAULTS: what a new model does wrong on the line."""
    shadow: bool = False
    """With a model fault: let it run beside the live model first, as a plant would."""
    power_cuts: int | None = None
    """So often the power of the whole station is cut while models come to it."""
    story: bool = False
    """A model's whole way by layered deployments, as the reported properties tell it."""
    json_file: Path | None = None
    directory: Path | None = None
    """Where the local world keeps its files; None takes a temporary folder."""
    network: str | None = None
    """First three numbers of a loopback network, for example 127.0.42; None finds a free one."""

    @property
    def faults_in_order(self) -> Sequence[PlannedFault | PlannedPlcFault]:
        """Return the faults of both kinds in the order of their times."""
        return sorted([*self.faults, *self.plc_faults], key=lambda fault: fault.at_s)

    @property
    def is_about_models(self) -> bool:
        """Tell whether models come and go: downloads are slow then, and trials short."""
        return self.story or self.power_cuts is not None

    def __post_init__(self) -> None:
        rules = {
            "--parts must be 1..100000": 1 <= self.parts <= 100_000,
            "--rate must be 0.1..20 parts per second": 0.1 <= self.rate <= 20.0,
            "--defective-fraction must be 0..1": 0.0 <= self.defective_fraction <= 1.0,
            "--deadline-ms must be 60..5000": 60 <= self.deadline_ms <= 5000,
            "--bad-model needs --canary": self.canary or not self.bad_model,
            f"--model-fault must be one of {', '.join(MODEL_FAULTS)}, or {MODEL_FAULT_LIST}": (
                self.model_fault is None or self.model_fault in MODEL_FAULTS
            ),
            "--model-fault does not go with --canary, --fault or --plc-fault": not (
                self.model_fault and (self.canary or self.faults or self.plc_faults)
            ),
            f"--cut-power-during-staging must be 1..{MOST_CUTS}": (
                self.power_cuts is None or 1 <= self.power_cuts <= MOST_CUTS
            ),
            "--cut-power-during-staging goes with no other fault and not with --canary": not (
                self.power_cuts is not None
                and (self.canary or self.model_fault or self.faults or self.plc_faults)
            ),
            "--story goes with no fault, no power cut and not with --canary": not (
                self.story
                and (
                    self.power_cuts is not None
                    or self.canary
                    or self.model_fault
                    or self.faults
                    or self.plc_faults
                )
            ),
            "--shadow needs --model-fault": self.model_fault is not None or not self.shadow,
            "--in-turn needs --fault or --plc-fault": bool(self.faults or self.plc_faults)
            or not self.in_turn,
            "--fault must strike before the last part comes": self.in_turn
            or all(fault.at_s < (self.parts - 1) / self.rate for fault in self.faults),
            "--fault does not go with --canary": not (self.canary and self.faults),
            "--plc-fault does not go with --canary": not (self.canary and self.plc_faults),
            f"--plc-fault must be over {_ROOM_S:g} s before the last part comes": self.in_turn
            or all(
                fault.end_s + _ROOM_S <= (self.parts - 1) / self.rate for fault in self.plc_faults
            ),
            "--plc-fault: one must be over before the next strikes": self.in_turn
            or all(before.end_s < after.at_s for before, after in pairwise(self.plc_faults)),
            "--seed must be 0 or more": self.seed >= 0,
            "--network must be like 127.0.42": _is_loopback(self.network),
            "--json must name a file in a folder that is there and may be written": _can_be_written(
                self.json_file
            ),
        }
        for rule, holds in rules.items():
            if not holds:
                raise OptionError(rule)


def parse_fault(text: str) -> PlannedFault:
    """Return the fault that *text* describes.

    Raises:
        OptionError: *text* has another form, or names nothing that can be broken so.
    """
    match = _FAULT.fullmatch(text)
    if match is None:
        raise OptionError(f"--fault {text!r}: must be like {FAULT_FORM}")
    action, target = match["action"], match["target"]
    allowed = set(PROCESSES) | ({EDGEHUB} if action == "stop" else set())
    if target not in allowed:
        raise OptionError(
            f"--fault {text!r}: {action} knows {', '.join(sorted(allowed))}, not {target!r}"
        )
    if (action == "stop") != (match["for"] is not None):
        raise OptionError(f"--fault {text!r}: must be like {FAULT_FORM}")
    return PlannedFault(
        action=action,
        target=target,
        at_s=float(match["at"]),
        duration_s=float(match["for"] or 0.0),
    )


def plan_plc_faults(texts: Sequence[str]) -> tuple[PlannedPlcFault, ...]:
    """Return the PLC faults that *texts* describe, in the order of their times.

    Raises:
        OptionError: one has another form, or names what cannot be done.
    """
    if PLC_FAULT_ALL in texts:
        if len(texts) > 1:
            raise OptionError("--plc-fault all does not go with others")
        return _one_after_the_other()
    planned = [_parse_plc_fault(text) for text in texts]
    return tuple(sorted(planned, key=lambda fault: fault.at_s))


def parts_for(faults: Sequence[PlannedPlcFault], rate: float) -> int:
    """Return how many parts let every PLC fault strike and the line come back from it."""
    end_s = max(fault.end_s + PLC_FAULTS[fault.name].settles_s for fault in faults)
    return math.ceil((end_s + _ROOM_S) * rate) + 1


def _parse_plc_fault(text: str) -> PlannedPlcFault:
    match = _PLC_FAULT.fullmatch(text)
    if match is None:
        raise OptionError(f"--plc-fault {text!r}: must be like {PLC_FAULT_FORM}")
    kind = PLC_FAULTS.get(match["name"])
    if kind is None:
        raise OptionError(
            f"--plc-fault {text!r}: must be one of {', '.join(PLC_FAULTS)}, not {match['name']!r}"
        )
    if match["for"] is not None and not kind.lasts_s:
        raise OptionError(f"--plc-fault {text!r}: {match['name']} strikes once, it does not last")
    duration_s = kind.lasts_s if match["for"] is None else float(match["for"])
    if duration_s > _LONGEST_PLC_FAULT_S:
        raise OptionError(f"--plc-fault {text!r}: must last {_LONGEST_PLC_FAULT_S:g} s at most")
    return PlannedPlcFault(name=match["name"], at_s=float(match["at"]), duration_s=duration_s)


def _one_after_the_other() -> tuple[PlannedPlcFault, ...]:
    planned, at_s = [], _FIRST_PLC_FAULT_S
    for name, kind in PLC_FAULTS.items():
        planned.append(PlannedPlcFault(name=name, at_s=at_s, duration_s=kind.lasts_s))
        at_s += kind.lasts_s + kind.settles_s
    return tuple(planned)


def _can_be_written(file: Path | None) -> bool:
    if file is None:
        return True
    folder = file.absolute().parent
    return folder.is_dir() and os.access(folder, os.W_OK) and not file.is_dir()


def _is_loopback(network: str | None) -> bool:
    if network is None:
        return True
    numbers = network.split(".")
    return (
        len(numbers) == 3
        and numbers[0] == "127"
        and all(_OCTET.fullmatch(number) and int(number) < 256 for number in numbers)
    )
