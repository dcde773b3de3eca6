"""`taktgate rollout`: a model through the rings, from the command line."""

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TextIO

from taktgate.contracts.codec import ContractError, parse
from taktgate.contracts.twins import StagerDesired
from taktgate.edge.places import SettingsError
from taktgate.edge.settings import load_yaml
from taktgate.rollout.analysis import Assessment, StationState, assess
from taktgate.rollout.controller import (
    ENDED,
    Action,
    Observed,
    Saved,
    Stage,
    Step,
    begin,
    resume,
    withdraw,
)
from taktgate.rollout.driver import Driver, StateFile
from taktgate.rollout.errors import CloudError, PlanError
from taktgate.rollout.layers import content_of, metrics_of
from taktgate.rollout.plan import Rings, RolloutPlan

EXIT_DONE: Final = 0
EXIT_ERROR: Final = 1
EXIT_BAD_INPUT: Final = 2
EXIT_WITHDRAWN: Final = 3
EXIT_OPEN: Final = 4
EXIT_INTERRUPTED: Final = 130

_EPILOG: Final = """\
example:
  taktgate rollout run --login @hub-login.txt --rings config/rings.yaml \\
      --model weld-seam --version 1.2.0 --order 2026-11-22.1
  taktgate rollout manifest --model weld-seam --version 1.2.0 --order 2026-11-22.1 > layer.json

exit codes:
  0  rolled out to all rings (start, withdraw, manifest: done)
  1  IoT Hub refused or did not answer
  2  bad input; nothing was done
  3  withdrawn, because a ring failed or somebody deleted the layer
  4  open: inconclusive, held, or out of time; `run` goes on from there
"""


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `rollout` and what it can do to *commands*."""
    rollout = commands.add_parser(
        "rollout",
        help="roll a model out ring by ring, or take it back",
        description="Roll a model out ring by ring through a layered deployment of IoT Hub.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = rollout.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    manifest = verbs.add_parser("manifest", help="print the layer for `az iot edge deployment`")
    _add_plan(manifest)
    manifest.add_argument("--metrics", action="store_true", help="print the metric queries instead")
    manifest.set_defaults(run=_guarded(_manifest))
    cloud: dict[str, tuple[str, Callable[[argparse.Namespace], int]]] = {
        "start": ("create the layer for the first ring, and return", _start),
        "status": ("show where the rollout stands; changes nothing", _status),
        "run": ("start or go on, until all rings are done or the rollout has ended", _run),
        "withdraw": ("delete the layer now: stations fall back to what lies below", _withdraw),
    }
    for verb, (words, command) in cloud.items():
        parser = verbs.add_parser(verb, help=words)
        _add_plan(parser)
        _add_cloud(parser)
        parser.set_defaults(run=_guarded(command))


def _add_plan(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rings", type=Path, default=Path("config/rings.yaml"), metavar="FILE")
    parser.add_argument("--model", required=True, metavar="NAME")
    parser.add_argument("--version", required=True, metavar="V")
    parser.add_argument(
        "--order", required=True, metavar="O", help="a value not used before: a date and a number"
    )
    parser.add_argument(
        "--activation",
        default="immediate",
        help="immediate | safe_to_update | changeover (default: immediate)",
    )
    parser.add_argument(
        "--repository", metavar="URL", help="where bundles lie, if not where the base says"
    )


def _add_cloud(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--login",
        required=True,
        metavar="CONNECTION_STRING",
        help="of the hub's owner or service policy; @FILE reads it from a file",
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
    parser.add_argument("--timeout-s", type=float, metavar="S", help="stop waiting after this time")
    parser.add_argument("--state", type=Path, metavar="FILE", help="default: one file per layer id")


def _guarded(
    command: Callable[[argparse.Namespace], int],
) -> Callable[[argparse.Namespace], int]:
    """Return *command* with its errors as one line and an exit code."""

    def run(arguments: argparse.Namespace) -> int:
        try:
            return command(arguments)
        except (PlanError, SettingsError) as error:
            _say(f"taktgate rollout: {error}", to=sys.stderr)
            return EXIT_BAD_INPUT
        except CloudError as error:
            _say(f"taktgate rollout: {error}", to=sys.stderr)
            return EXIT_ERROR
        except KeyboardInterrupt:
            _say("interrupted; the state is saved, the same command goes on", to=sys.stderr)
            return EXIT_INTERRUPTED

    return run


def _manifest(arguments: argparse.Namespace) -> int:
    plan = plan_from(arguments)
    if arguments.metrics:
        _say(json.dumps({"queries": metrics_of(plan.model)}, indent=2))
        return EXIT_DONE
    _say(json.dumps(content_of(plan), indent=2))
    _say(
        f"az iot edge deployment create --layered --deployment-id {plan.layer_id} "
        f'--target-condition "{plan.target(0)}" --priority {plan.rings.layer_priority} '
        "--content FILE --login CONNECTION_STRING",
        to=sys.stderr,
    )
    return EXIT_DONE


def _start(arguments: argparse.Namespace) -> int:
    session = _Session(arguments)
    saved = session.saved()
    observed = session.driver.look(saved)
    if observed.layer is None and observed.error is None:
        saved = session.driver.step(saved).saved
    if session.driver.trouble is not None:
        raise CloudError(session.driver.trouble)
    session.show(saved, None)
    return EXIT_DONE if saved.stage is Stage.RUNNING else _code(saved)


def _status(arguments: argparse.Namespace) -> int:
    session = _Session(arguments)
    saved = session.saved()
    observed = session.driver.look(saved)
    if session.driver.trouble is not None:
        raise CloudError(session.driver.trouble)
    ring = session.plan.rings.rings[saved.ring]
    session.show(saved, assess(ring, observed.stations))
    return _code(saved)


def _run(arguments: argparse.Namespace) -> int:
    session = _Session(arguments)
    saved = resume(session.saved(), time.time())
    return session.drive(saved)


def _withdraw(arguments: argparse.Namespace) -> int:
    session = _Session(arguments)
    saved = resume(session.saved(), time.time())
    code = session.drive(withdraw(saved, "withdrawn by hand"))
    return EXIT_DONE if code == EXIT_WITHDRAWN else code


class _Session:
    """One command's plan, hub and saved state."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        # The SDK takes half a second to import: `--help` and `manifest` do without.
        from taktgate.rollout.iothub import IotHub

        self.plan = plan_from(arguments)
        self._is_json = arguments.json
        self._state = StateFile(arguments.state or _state_path(self.plan))
        self._until_s = None if arguments.timeout_s is None else time.time() + arguments.timeout_s
        self._last_line = ""
        self._assessment: Assessment | None = None
        self.driver = Driver(
            plan=self.plan, cloud=IotHub(_login(arguments.login)), state=self._state
        )

    def saved(self) -> Saved:
        """Return the saved state, or that of a rollout that has done nothing yet."""
        saved = self._state.read(self.plan.layer_id) or begin(self.plan, time.time())
        if saved.ring >= len(self.plan.rings.rings):
            raise PlanError(
                f"{self._state.path}: is at ring {saved.ring}, which is not in the file"
            )
        return saved

    def drive(self, saved: Saved) -> int:
        """Take steps until the end or the time limit; return the exit code."""
        saved = self.driver.run(saved, until_s=self._until_s, on_step=self._on_step)
        if saved.stage not in ENDED:
            self._progress(self.driver.trouble or "out of time; the layer stays as it is")
        self.show(saved, self._assessment)
        return _code(saved)

    def show(self, saved: Saved, assessment: Assessment | None) -> None:
        """Print the result."""
        if self._is_json:
            _say(json.dumps(self._document(saved, assessment), indent=2))
            return
        ring = self.plan.rings.rings[saved.ring].name
        _say(f"{saved.stage.upper()}  layer {saved.layer_id}  ring {ring}  {saved.reason}")
        for station in self.driver.observed.stations:
            _say(
                f"  {station.device_id:<20} {station.ring:<10} {station.state:<11} {station.detail}"
            )

    def _on_step(self, step: Step, observed: Observed) -> None:
        if step.assessment is not None:
            self._assessment = step.assessment
        waiting = [its for its in observed.stations if its.state is StationState.PENDING]
        ring = self.plan.rings.rings[step.saved.ring].name
        open_ones = "; ".join(f"{its.device_id}: {its.detail}" for its in waiting[:5])
        detail = f" ({open_ones})" if open_ones and step.action is Action.WAIT else ""
        self._progress(f"{step.action:<8} ring {ring}: {step.saved.reason}{detail}")

    def _progress(self, line: str) -> None:
        if line != self._last_line:
            _say(f"{time.strftime('%H:%M:%S')} {line}", to=sys.stderr)
        self._last_line = line

    def _document(self, saved: Saved, assessment: Assessment | None) -> dict[str, Any]:
        return {
            "layer": saved.layer_id,
            "model": self.plan.model.name,
            "version": self.plan.model.version,
            "order": self.plan.model.order,
            "stage": saved.stage,
            "ring": self.plan.rings.rings[saved.ring].name,
            "reason": saved.reason,
            "assessment": assessment
            and {
                "outcome": assessment.outcome,
                "reason": assessment.reason,
                "figures": assessment.figures,
            },
            "stations": [
                {
                    "device": its.device_id,
                    "ring": its.ring,
                    "state": its.state,
                    "detail": its.detail,
                }
                for its in self.driver.observed.stations
            ],
        }


def plan_from(arguments: argparse.Namespace) -> RolloutPlan:
    """Return the plan that *arguments* describe.

    Raises:
        PlanError: a name, version or order breaks its rule.
        SettingsError: rings.yaml does.
    """
    model = {
        "name": arguments.model,
        "version": arguments.version,
        "order": arguments.order,
        "activation": arguments.activation,
    }
    try:
        wish = parse(StagerDesired, {"model": model, "repository": arguments.repository})
    except ContractError as error:
        raise PlanError(str(error)) from error
    assert wish.model is not None
    rings = load_yaml(arguments.rings, Rings)
    return RolloutPlan(model=wish.model, repository=wish.repository, rings=rings)


def _login(given: str) -> str:
    if not given.startswith("@"):
        return given
    try:
        return Path(given[1:]).read_text(encoding="utf-8").strip()
    except OSError as error:
        raise PlanError(f"login: {given[1:]}: {error.strerror}") from error


def _state_path(plan: RolloutPlan) -> Path:
    home = os.environ.get("XDG_STATE_HOME")
    base = Path(home) if home else Path.home() / ".local" / "state"
    return base / "taktgate" / "rollouts" / f"{plan.layer_id}.json"


def _code(saved: Saved) -> int:
    return {
        Stage.DONE: EXIT_DONE,
        Stage.WITHDRAWN: EXIT_WITHDRAWN,
        Stage.WITHDRAWING: EXIT_ERROR,
    }.get(saved.stage, EXIT_OPEN)


def _say(line: str, *, to: TextIO | None = None) -> None:
    """Print *line*: the one place of this tool that does."""
    print(line, file=to or sys.stdout, flush=True)
