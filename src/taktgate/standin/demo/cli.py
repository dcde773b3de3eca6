"""Arguments of `taktgate demo`, and what its exit code says."""

import argparse
import asyncio
import json
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from taktgate.standin.demo.model_fault_kinds import MODEL_FAULTS
from taktgate.standin.demo.options import (
    FAULT_FORM,
    MODEL_FAULT_LIST,
    PLC_FAULT_FORM,
    PLC_FAULT_LIST,
    DemoOptions,
    OptionError,
    parse_fault,
    parts_for,
    plan_plc_faults,
)

if TYPE_CHECKING:
    from rich.console import Console

EXIT_OK: Final = 0
EXIT_NOT_CLEAN: Final = 1
EXIT_CANNOT_START: Final = 2
EXIT_INTERRUPTED: Final = 130

_LOG_WIDTH: Final = 140
_PARTS: Final = 60

_RUN_AS_LONG_AS_IT_TAKES: Final = {
    "canary": "--canary",
    "model_fault": "--model-fault",
    "power_cuts": "--cut-power-during-staging",
    "story": "--story",
    "in_turn": "--in-turn",
}
_MODELS_RATE: Final = 8.0
_MODELS_DEADLINE_MS: Final = 400
"""A machine that starts all modules at once answers late, which is not what is shown."""

_EPILOG: Final = """
exit code: 0 the run is clean; 1 it is not, and the summary says why; 2 it could not start;
130 interrupted

example:
  scripts/demo --parts 200 --rate 5 --json out.json
  scripts/demo --fault kill:inference/judge@5 --fault stop:edgehub@10+5
  scripts/demo --in-turn --fault kill:inference@3 --fault kill:plc_writer@3
  scripts/demo --plc-fault list
  scripts/demo --plc-fault cable-pull@5+2 --plc-fault program-mode@14
  scripts/demo --model-fault list
  scripts/demo --model-fault hang
  scripts/demo --canary --bad-model
  scripts/demo --offline --cut-power-during-staging 10 --json cuts.json
"""


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `demo` to the command line."""
    parser = commands.add_parser(
        "demo",
        help="run the whole line on this machine",
        description="Run parts past a station of the local world, from trigger to reject gate.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--parts",
        type=int,
        default=None,
        help="parts to run (default 60; --canary, --plc-fault, --model-fault: as needed)",
    )
    add(
        "--rate",
        type=float,
        default=None,
        help="parts per second (default 2; --canary, --plc-fault: 4; --model-fault: its own)",
    )
    add("--json", type=Path, metavar="FILE", help="write the figures to FILE as well")
    add("--images", metavar="DIR", help="a folder with labels.csv (file,label) instead of the set")
    add("--offline", action="store_true", help="generated weld seams and their own model")
    add("--seed", type=int, default=7, help="which images, in which order (default 7)")
    add("--defective-fraction", type=float, default=0.1, help="share of bad parts (default 0.1)")
    add(
        "--deadline-ms",
        type=int,
        default=None,
        help="trigger to acknowledge (default 200; --model-fault: its own)",
    )
    add("--no-local-lane", action="store_true", help="verdicts by the edgeHub route alone")
    add("--fault", action="append", default=[], metavar="SPEC", help=FAULT_FORM)
    add("--plc-fault", action="append", default=[], metavar="SPEC", help=PLC_FAULT_FORM)
    add(
        "--in-turn",
        action="store_true",
        help="a fault waits until the line is back from the one before; as many parts as it takes",
    )
    add("--model-fault", metavar="NAME", help=f"{', '.join(MODEL_FAULTS)}, or {MODEL_FAULT_LIST}")
    add("--shadow", action="store_true", help="with --model-fault: beside the live model first")
    add("--canary", action="store_true", help="roll a second model out over two stations")
    add("--bad-model", action="store_true", help="with --canary: one that over-rejects")
    add(
        "--cut-power-during-staging",
        dest="power_cuts",
        type=int,
        nargs="?",
        const=10,
        metavar="N",
        help="kill the whole station N times (default 10) while new models come to it",
    )
    add("--story", action="store_true", help="a model's way by layers: in, back, revoked, blocked")
    add("--keep", type=Path, metavar="DIR", help="keep the world's files (logs, volumes) in DIR")
    add("--network", metavar="127.A.B", help="loopback network to use (default: a free one)")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Run the demo as asked; return the exit code."""
    if PLC_FAULT_LIST in arguments.plc_fault:
        return _list_plc_faults()
    if arguments.model_fault == MODEL_FAULT_LIST:
        return _list_model_faults()
    try:
        options = _options(arguments)
    except OptionError as error:
        sys.stderr.write(f"taktgate demo: {error}\n")
        return EXIT_CANNOT_START
    return _run_checked(options)


def _options(arguments: argparse.Namespace) -> DemoOptions:
    for name, option in _RUN_AS_LONG_AS_IT_TAKES.items():
        if getattr(arguments, name) and arguments.parts is not None:
            raise OptionError(f"--parts does not go with {option}, which runs as many as it takes")
    plc_faults = plan_plc_faults(arguments.plc_fault)
    kind = MODEL_FAULTS.get(arguments.model_fault)
    is_about_models = arguments.story or arguments.power_cuts is not None
    rate = arguments.rate
    if rate is None:
        rate = 4.0 if arguments.canary or plc_faults else 2.0
        rate = _MODELS_RATE if is_about_models else rate
        rate = rate if kind is None else kind.rate
    deadline_ms = arguments.deadline_ms
    if deadline_ms is None:
        deadline_ms = _MODELS_DEADLINE_MS if is_about_models else 200
        deadline_ms = deadline_ms if kind is None else kind.deadline_ms
    parts = arguments.parts
    if parts is None:
        parts = parts_for(plc_faults, rate) if plc_faults and rate > 0 else _PARTS
    return DemoOptions(
        parts=parts,
        rate=rate,
        images=arguments.images,
        offline=arguments.offline,
        seed=arguments.seed,
        defective_fraction=arguments.defective_fraction,
        deadline_ms=deadline_ms,
        local_lane=not arguments.no_local_lane,
        faults=tuple(parse_fault(text) for text in arguments.fault),
        plc_faults=plc_faults,
        in_turn=arguments.in_turn,
        canary=arguments.canary,
        bad_model=arguments.bad_model,
        model_fault=arguments.model_fault,
        shadow=arguments.shadow,
        power_cuts=arguments.power_cuts,
        story=arguments.story,
        json_file=arguments.json,
        directory=arguments.keep,
        network=arguments.network,
    )


def _list_plc_faults() -> int:
    from taktgate.standin.demo.screen import print_plc_fault_kinds

    print_plc_fault_kinds(_console())
    return EXIT_OK


def _list_model_faults() -> int:
    from taktgate.standin.demo.screen import print_model_fault_kinds

    print_model_fault_kinds(_console())
    return EXIT_OK


def _console() -> "Console":
    """Return the output: a log keeps its lines whole, a terminal knows its own width."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else _LOG_WIDTH)


def _run_checked(options: DemoOptions) -> int:
    # Imported here: `taktgate --help` and `taktgate rollout` need none of it.
    from taktgate.edge.places import SettingsError
    from taktgate.standin.azure.errors import PortInUseError
    from taktgate.standin.control.commands import ControlError
    from taktgate.standin.control.process import StandinStartError
    from taktgate.standin.demo.canary import run_canary
    from taktgate.standin.demo.line_run import run_line
    from taktgate.standin.demo.model_run import run_model_fault
    from taktgate.standin.demo.power_run import run_power_cuts
    from taktgate.standin.demo.readiness import StationNotReadyError
    from taktgate.standin.demo.samples import SampleDamagedError, SampleMissingError
    from taktgate.standin.demo.station import StationBrokenError
    from taktgate.standin.demo.story import run_story
    from taktgate.standin.demo.world import WorldError

    console = _console()
    job = run_canary if options.canary else run_line
    job = run_model_fault if options.model_fault else job
    job = run_power_cuts if options.power_cuts is not None else job
    job = run_story if options.story else job
    refusals = (
        *(ControlError, PortInUseError, StandinStartError, WorldError),
        *(SampleDamagedError, SampleMissingError),
        *(SettingsError, StationBrokenError, StationNotReadyError),
    )
    try:
        figures = asyncio.run(_until_signalled(lambda: job(options, console)))
    except refusals as error:
        sys.stderr.write(f"taktgate demo: {error}\n")
        return EXIT_CANNOT_START
    except (asyncio.CancelledError, KeyboardInterrupt):
        sys.stderr.write("taktgate demo: interrupted; everything it started has ended\n")
        return EXIT_INTERRUPTED
    if options.json_file is not None:
        figures["objections"] += _save(figures, options.json_file)
    for remark in figures["remarks"]:
        console.print(f"note: {remark}", style="yellow")
    for objection in figures["objections"]:
        console.print(f"not clean: {objection}", style="red")
    return EXIT_NOT_CLEAN if figures["objections"] else EXIT_OK


def _save(figures: dict[str, Any], file: Path) -> list[str]:
    """Write *figures* to *file*; return why that failed, if it did."""
    try:
        file.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        return [f"--json {file}: {error.strerror}"]
    return []


async def _until_signalled(job: Callable[[], Awaitable[dict[str, Any]]]) -> dict[str, Any]:
    """Run *job*; SIGTERM and SIGHUP cancel it as Ctrl-C does, so that it can clean up."""
    task = asyncio.ensure_future(job())
    for number in (signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    return await task
