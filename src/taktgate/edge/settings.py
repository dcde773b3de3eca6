"""Settings of a station: station.yaml and its like, each checked by a model.

Read once, at start. An unknown key or a bad value refuses the start with the field and the rule.
"""

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
)

from taktgate.contracts.codec import Name, first_fault
from taktgate.edge.camera_settings import CameraSettings
from taktgate.edge.places import SettingsError

M = TypeVar("M", bound=BaseModel)
_WINDOW = r"^([01]\d|2[0-3]):[0-5]\d-([01]\d|2[0-3]):[0-5]\d$"
STRICT = ConfigDict(extra="forbid", frozen=True)


class PlcSettings(BaseModel):
    """The controller and how it is spoken to."""

    model_config = STRICT

    address: str
    """Host, `host:port`, or `host/slot`, as pycomm3 takes it."""
    tick_ms: Annotated[int, Field(ge=5, le=100)] = 10
    reply_timeout_ms: Annotated[int, Field(ge=20, le=1000)] = 100
    write_reserve_ms: Annotated[int, Field(ge=1, le=1000)] = 20
    """How long before the station deadline the writer answers for a silent judge."""
    profile: Literal["udt", "flat"] = "udt"
    """`flat` for controllers without user-defined types: the same members as atomic tags."""
    backend: Literal["pycomm3", "cached"] = "pycomm3"
    """`cached` patches packets that were built once: less work per exchange, less jitter."""
    read_back: bool = False
    """Read each result slot again after it was written: one more exchange per verdict."""


class ImageGateSettings(BaseModel):
    """When an image is not fit to be judged; a limit that is null is not looked at.

    These describe camera, lens and light of this station, so they are here and not in the bundle.
    """

    model_config = STRICT

    dark_share_max: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    """Largest share of pixels that may be black."""
    saturated_share_max: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    mean_min: Annotated[float, Field(ge=0.0, le=255.0)] | None = None
    mean_max: Annotated[float, Field(ge=0.0, le=255.0)] | None = None
    sharpness_min: Annotated[float, Field(ge=0.0)] | None = None
    """Smallest variance of the Laplacian."""
    frozen_frames: Annotated[int, Field(ge=2, le=100)] | None = None
    """The so-many-th image in a row with equal pixels, and each one after it, is frozen."""


class JudgeSettings(BaseModel):
    """How a part is judged. Thresholds are in the bundle, not here."""

    model_config = STRICT

    decision_reserve_ms: Annotated[int, Field(ge=1, le=1000)] = 50
    """Lane + tick + exchange, measured at commissioning: decision deadline = DeadlineMs - this."""
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    spinning: bool = False
    """Let idle threads of the model spin: at 30 frames/s four times the CPU for 3 ms at p50."""
    arena: bool = True
    """Let each runner keep the memory of its largest run; false gives it back after each."""
    provider: Literal["auto", "cpu", "cuda"] = "auto"
    """`cuda` refuses a fallback to the CPU; `auto` takes CUDA where it is and says what it took."""
    gpu_memory_mb: Annotated[int, Field(ge=64, le=1_000_000)] | None = None
    """How much device memory the arena of each runner may hold; null: no limit."""
    standby: bool = True
    """Keep a second runner of the live model warm, to take over when the first one fails."""
    breaker_after: Annotated[int, Field(ge=2, le=100)] = 5
    """So many parts in a row without a usable answer of the model, and the station is not ready."""


class LaneSettings(BaseModel):
    """Which lanes carry verdicts."""

    model_config = STRICT

    local: bool = True
    edgehub: bool = True


class RealtimeSettings(BaseModel):
    """SCHED_FIFO priorities; 0 asks for none."""

    model_config = STRICT

    writer: Annotated[int, Field(ge=0, le=90)] = 60
    judge: Annotated[int, Field(ge=0, le=90)] = 0
    runner: Annotated[int, Field(ge=0, le=90)] = 0
    """Of the live model's runner; a candidate never has one. Below that of the judge."""

    @field_validator("runner")
    @classmethod
    def _is_below_the_judge(cls, runner: int, info: ValidationInfo) -> int:
        if runner and runner >= info.data.get("judge", 0):
            raise ValueError("must be 0 or below realtime.judge: the judge watches over the runner")
        return runner


class SurfaceSettings(BaseModel):
    """The HTTP control surface of inference: for people and tools of this node."""

    model_config = STRICT

    enabled: bool = True
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=1, le=65535)] = 9610
    infer_limit_ms: Annotated[int, Field(ge=10, le=10_000)] = 2000
    """A run for `/infer` that takes longer is ended; it has idle priority, so it may be slow."""


class RecordSettings(BaseModel):
    """How much is kept of the parts; the oldest goes first."""

    model_config = STRICT

    parts_mb: Annotated[int, Field(ge=1, le=100_000)] = 256
    images_mb: Annotated[int, Field(ge=0, le=1_000_000)] = 1024
    """0 keeps no images."""
    images: Literal["rejected", "all"] = "rejected"
    """Whose image is kept: `rejected` is every part that did not pass, the uncertain ones too."""
    days: Annotated[int, Field(ge=1, le=3650)] = 30


class StagingSettings(BaseModel):
    """When, how fast and how much may be staged."""

    model_config = STRICT

    windows: tuple[Annotated[str, Field(pattern=_WINDOW)], ...] = ()
    """Times of day, `22:00-06:00`, in UTC, in which new models may be fetched and announced; none
    given: always."""
    while_line_runs: Literal["stage", "hold"] = "stage"
    """`stage` goes on while parts come, paced by the judge's lateness; `hold` waits until the line
    has stood for some seconds."""
    rate_mb_s: Annotated[float, Field(gt=0.0, le=10_000.0)] | None = None
    """Most megabytes a second of a download; null: as fast as it comes."""
    pause_at: Annotated[float, Field(gt=0.0, le=1.0)] = 0.8
    """Staging pauses while the slowest of the last parts took this share of its budget or more."""
    quota_mb: Annotated[int, Field(ge=16, le=1_000_000)] = 4096
    """Most megabytes on the slots volume, what is being unpacked included."""
    reserve_mb: Annotated[int, Field(ge=0, le=1_000_000)] = 64
    """Megabytes of that volume that stay free."""
    waived_hil: bool = True
    """Take bundles that were released without a hardware-in-the-loop report."""
    smoke_memory_mb: Annotated[int, Field(ge=256, le=1_000_000)] = 2048
    """Address space of the smoke test's process."""
    smoke_limit_s: Annotated[float, Field(gt=0.0, le=600.0)] = 60.0
    """After so long the smoke test has failed."""


class StationSettings(BaseModel):
    """station.yaml: what a controls engineer edits."""

    model_config = STRICT

    station: Name
    device_class: Name
    plc: PlcSettings
    camera: CameraSettings
    judge: JudgeSettings = JudgeSettings()
    image_gate: ImageGateSettings = ImageGateSettings()
    lanes: LaneSettings = LaneSettings()
    surface: SurfaceSettings = SurfaceSettings()
    records: RecordSettings = RecordSettings()
    realtime: RealtimeSettings = RealtimeSettings()
    staging: StagingSettings = StagingSettings()


def load_station(path: Path) -> StationSettings:
    """Return the station described by *path*.

    Raises:
        SettingsError: the file is missing, not YAML, or a key is unknown or breaks its rule.
    """
    return load_yaml(path, StationSettings)


def load_yaml(path: Path, model: type[M]) -> M:
    """Return *path* as *model*.

    Raises:
        SettingsError: names the file, the field and the rule.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from error
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: not YAML: {error}") from error
    try:
        return model.model_validate(content)
    except ValidationError as error:
        fault = first_fault(path.name, error)
        raise SettingsError(str(fault)) from None
