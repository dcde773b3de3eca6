"""What a demo run is asked to do, checked before anything is started."""

import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

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
    canary: bool = False
    bad_model: bool = False
    json_file: Path | None = None
    directory: Path | None = None
    """Where the local world keeps its files; None takes a temporary folder."""
    network: str | None = None
    """First three numbers of a loopback network, for example 127.0.42; None finds a free one."""

    def __post_init__(self) -> None:
        rules = {
            "--parts must be 1..100000": 1 <= self.parts <= 100_000,
            "--rate must be 0.1..20 parts per second": 0.1 <= self.rate <= 20.0,
            "--defective-fraction must be 0..1": 0.0 <= self.defective_fraction <= 1.0,
            "--deadline-ms must be 60..5000": 60 <= self.deadline_ms <= 5000,
            "--bad-model needs --canary": self.canary or not self.bad_model,
            "--fault must strike before the last part comes": all(
                fault.at_s < (self.parts - 1) / self.rate for fault in self.faults
            ),
            "--fault does not go with --canary": not (self.canary and self.faults),
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
