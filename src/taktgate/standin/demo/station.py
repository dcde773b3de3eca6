"""One station of the local world: a device with our modules, its PLC and its camera."""

import asyncio
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from taktgate.contracts.codec import decode, parse
from taktgate.contracts.outcome import Outcome
from taktgate.contracts.routes import INFERENCE, MODEL_STAGER, OUTCOMES, PLC_WRITER
from taktgate.contracts.twins import InspectionReported
from taktgate.contracts.verdict import Verdict
from taktgate.inspection.guardrails.settings import load_guardrails
from taktgate.standin.azure.device_link import Telemetry
from taktgate.standin.azure.edgeagent.process_images import ProcessImages
from taktgate.standin.azure.world.cloud import LocalCloud
from taktgate.standin.azure.world.local_device import LocalDevice
from taktgate.standin.camera.process import CameraProcess
from taktgate.standin.control.commands import Event
from taktgate.standin.control.process import StandinProcess
from taktgate.standin.demo.line_times import frame_window_ms, reply_timeout_ms
from taktgate.standin.demo.model_fault_kinds import MODEL_FAULTS
from taktgate.standin.demo.module_log import ModuleLog
from taktgate.standin.demo.options import DemoOptions
from taktgate.standin.demo.plc_report import PlcJournal, Struck
from taktgate.standin.demo.power_plan import (
    DOWNLOAD_MB_S,
    LATENCY_BUDGET_MS,
    SHADOW_PARTS,
    TRIAL_PARTS,
)
from taktgate.standin.demo.processes import EndWatch
from taktgate.standin.demo.samples import DEVICE_CLASS, REPOSITORY_ROOT
from taktgate.standin.demo.tally import Part, Tally
from taktgate.standin.line.process import LineProcess

RESTART_BACKOFF_S: Final = 1.0
"""edgeAgent waits 10 s before the first restart; nobody wants to watch that in a demo."""
_PLC_PORT: Final = 44818
_FRAMES_PORT: Final = 3960
_TRIGGER_PORT: Final = 3961
_METRICS_PORTS: Final = {INFERENCE: 9601, PLC_WRITER: 9602, MODEL_STAGER: 9603}
_IMAGE_ENVIRONMENT: Final = {"PYDANTIC_DISABLE_PLUGINS": "1"}
"""What our Dockerfiles set, and a process that stands in for an image must be given."""
_CONFIG_FILES: Final = ("device_compatibility_matrix.yaml", "trusted_keys")
_HOST_CONFIG: Final = "/etc/taktgate"


@dataclass(frozen=True, slots=True, kw_only=True)
class StationPlan:
    """Where one station is and what stands around it."""

    name: str
    gateway: str
    tags: Mapping[str, Any]
    images: str
    seed: int
    min_agreement: float
    """Of the line's own models, for the guardrails."""


class StationBrokenError(RuntimeError):
    """The camera or the PLC of a station has ended: this is no run any more."""


class LocalStation:
    """A station that runs; counts its parts into `tally`."""

    def __init__(self, plan: StationPlan, options: DemoOptions, directory: Path) -> None:
        self.name = plan.name
        self.tally = Tally()
        self.journal = PlcJournal()
        """What PLC and writer say of themselves."""
        self.struck: list[Struck] = []
        """What has been done to the PLC and its link, in order."""
        self.finished = asyncio.Event()
        self._part_closed = asyncio.Condition()
        self._plan = plan
        self._options = options
        self._directory = directory
        self._ends = EndWatch()
        self._failure: str | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._camera = CameraProcess(
            images=plan.images,
            control=directory / f"{plan.name}.camera",
            listen=f"{plan.gateway}:{_FRAMES_PORT}",
            trigger=f"{plan.gateway}:{_TRIGGER_PORT}",
            seed=plan.seed,
            defective_fraction=options.defective_fraction,
        )
        self.plc = LineProcess(
            control=directory / f"{plan.name}.plc",
            host=plan.gateway,
            port=_PLC_PORT,
            camera_trigger=f"{plan.gateway}:{_TRIGGER_PORT}",
            deadline_ms=options.deadline_ms,
        )
        self._device: LocalDevice | None = None

    @property
    def device(self) -> LocalDevice:
        """Return the IoT Edge device. Only after `start`."""
        assert self._device is not None
        return self._device

    async def start(self, cloud: LocalCloud) -> None:
        """Start camera, PLC and device side by side; the modules follow by deployment.

        Raises:
            SettingsError: config/guardrails.yaml breaks a rule.
            StandinStartError: camera or PLC did not come up; the message says why.
            PortInUseError: the station's address is taken.
        """
        self._write_config()
        await asyncio.gather(self._camera.start(), self.plc.start(), self._add_device(cloud))
        self._tasks = [
            asyncio.create_task(self._follow_plc(), name=f"{self.name} PLC events"),
            asyncio.create_task(self._follow_camera(), name=f"{self.name} camera events"),
        ]

    async def _add_device(self, cloud: LocalCloud) -> None:
        self._device = await cloud.add_device(
            self.name,
            gateway=self._plan.gateway,
            images=module_images(),
            tags=dict(self._plan.tags),
            environment={
                module: {
                    **_IMAGE_ENVIRONMENT,
                    "TAKTGATE_METRICS_ADDRESS": self._plan.gateway,
                    "TAKTGATE_METRICS_PORT": str(port),
                }
                for module, port in _METRICS_PORTS.items()
            },
            volumes={_HOST_CONFIG: self.config},
            on_event=self._ends.module_event,
            restart_backoff_s=RESTART_BACKOFF_S,
        )
        self._ends.follow(
            {module: ModuleLog(self._device.log_file(module)) for module in _METRICS_PORTS}
        )

    async def stop(self) -> None:
        """End PLC and camera; the modules end with the cloud."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await asyncio.gather(self.plc.stop(), self._camera.stop())

    async def until_parts(self, count: int) -> None:
        """Wait until *count* parts have been closed, or the station is broken."""
        async with self._part_closed:
            await self._part_closed.wait_for(
                lambda: len(self.tally.parts) >= count or self.finished.is_set()
            )

    def look_for_faults(self) -> None:
        """Take note of module processes that ended since the last look."""
        self.tally.faults.extend(self._ends.look())

    def failed_modules(self) -> Iterator[str]:
        """Yield, for each module that ended by itself, why it says it did."""
        return self._ends.failed_modules()

    def check(self) -> None:
        """Do nothing while camera and PLC run.

        Raises:
            StationBrokenError: one of them has ended; the message says which and why.
        """
        if self._failure is not None:
            raise StationBrokenError(self._failure)

    def inspection(self) -> InspectionReported:
        """Return what its inference module reports."""
        return parse(
            InspectionReported, self.device.module_twin(INFERENCE)["reported"]["inspection"]
        )

    def take_telemetry(self, telemetry: Telemetry) -> None:
        """Take the writer's word on a part, which names the lane and the model."""
        if telemetry.device != self.name or telemetry.output != OUTCOMES.output:
            return
        outcome = decode(Outcome, telemetry.payload)
        self.tally.lanes[outcome.trigger_id] = outcome.lane
        if outcome.model is not None:
            self.tally.models[outcome.trigger_id] = {
                "name": outcome.model.name,
                "version": outcome.model.version,
                "digest": outcome.model.digest,
            }

    @property
    def writer_metrics(self) -> str:
        """Return where the PLC writer's metrics are."""
        return f"http://{self._plan.gateway}:{_METRICS_PORTS[PLC_WRITER]}/metrics"

    @property
    def config(self) -> Path:
        """Where its modules find their config."""
        return self._directory / self.name / "etc"

    def _write_config(self) -> None:
        """Write what a plant would edit: our `config/` with this station's addresses."""
        self.config.mkdir(parents=True, exist_ok=True)
        shipped = REPOSITORY_ROOT / "config"
        for name in _CONFIG_FILES:
            copy = shutil.copytree if (shipped / name).is_dir() else shutil.copyfile
            copy(shipped / name, self.config / name)
        station = yaml.safe_load((shipped / "station.yaml").read_text(encoding="utf-8"))
        station["station"] = self.name
        station["device_class"] = DEVICE_CLASS
        station["plc"]["address"] = f"{self._plan.gateway}:{_PLC_PORT}"
        station["camera"]["address"] = f"{self._plan.gateway}:{_FRAMES_PORT}"
        station["surface"] = {"host": self._plan.gateway}
        station["lanes"]["local"] = self._options.local_lane
        plc, camera, deadline_ms = station["plc"], station["camera"], self._options.deadline_ms
        plc["reply_timeout_ms"] = reply_timeout_ms(plc["reply_timeout_ms"], deadline_ms=deadline_ms)
        camera["frame_window_ms"] = frame_window_ms(
            camera["frame_window_ms"], deadline_ms=deadline_ms, rate=self._options.rate
        )
        if self._options.is_about_models:
            station["staging"] = {"rate_mb_s": DOWNLOAD_MB_S}
        (self.config / "station.yaml").write_text(yaml.safe_dump(station), encoding="utf-8")
        self._write_guardrails(shipped)

    def _write_guardrails(self, shipped: Path) -> None:
        """Write the guardrails that fit this line, and the model fault that is to be shown."""
        guardrails = load_guardrails(shipped).model_dump(mode="json")
        guardrails["escape_or_disagreement"]["min_agreement"] = self._plan.min_agreement
        if self._options.is_about_models:
            guardrails |= {"shadow_parts": SHADOW_PARTS, "trial_parts": TRIAL_PARTS}
            guardrails["latency"]["budget_ms"] = LATENCY_BUDGET_MS
        fault = self._options.model_fault
        if fault is not None:
            guardrails["latency"]["budget_ms"] = MODEL_FAULTS[fault].budget_ms
        if fault is not None and not self._options.shadow:
            guardrails["shadow_parts"] = 0  # the harder case: it judges parts at once
        (self.config / "guardrails.yaml").write_text(yaml.safe_dump(guardrails), encoding="utf-8")

    async def _follow_plc(self) -> None:
        while True:
            event = await self.plc.events.get()
            self.journal.take(event)
            if event["event"] == "part":
                self.tally.parts.append(_part_of(event))
                async with self._part_closed:
                    self._part_closed.notify_all()
            elif event["event"] == "finished":
                self.finished.set()
            elif event["event"] == "ended":
                await self._break(self.plc, event)

    async def _follow_camera(self) -> None:
        while True:
            event = await self._camera.events.get()
            if event["event"] == "exposed":
                self.tally.truth[event["trigger_id"]] = event["label"]
            elif event["event"] == "ended":
                await self._break(self._camera, event)

    async def _break(self, standin: StandinProcess, ended: Event) -> None:
        self._failure = (
            f"{self.name}: {standin.module} ended with exit code {ended['exit_code']} "
            f"and said: {standin.said}"
        )
        self.finished.set()
        async with self._part_closed:
            self._part_closed.notify_all()


def module_images() -> ProcessImages:
    """Return the commands that stand in for our three images: the modules of this checkout."""
    modules = REPOSITORY_ROOT / "modules"
    return ProcessImages(
        commands={
            f"taktgate-{name.replace('_', '-')}": (sys.executable, str(modules / name / "main.py"))
            for name in (INFERENCE, PLC_WRITER, MODEL_STAGER)
        }
    )


def _part_of(event: Mapping[str, Any]) -> Part:
    return Part(
        trigger_id=event["trigger_id"],
        trigger_ns=event["trigger_ns"],
        verdict=Verdict(event["verdict"]),
        reason=event["reason"],
        gate=event["gate"],
        why=event["why"],
        ack_ms=event["ack_ms"],
        second_verdict=event["second_verdict"],
        unsafe=event["unsafe"],
        unexplained=event["unexplained"],
    )
