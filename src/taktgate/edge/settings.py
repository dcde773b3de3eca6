"""Settings of a station: station.yaml and its like, each checked by a model.

Read once, at start. An unknown key or a bad value refuses the start with the field and the rule.
"""

from pathlib import Path
from typing import Annotated, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from taktgate.contracts.codec import Name, first_fault
from taktgate.edge.places import SettingsError

M = TypeVar("M", bound=BaseModel)
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


class CameraSettings(BaseModel):
    """Where frames come from."""

    model_config = STRICT

    kind: Literal["network"] = "network"
    address: str
    """host:port of the camera."""
    frame_window_ms: Annotated[int, Field(ge=1, le=5000)] = 120
    """A frame belongs to a trigger only if it arrives within this time of it."""


class JudgeSettings(BaseModel):
    """How a part is judged. Thresholds are in the bundle, not here."""

    model_config = STRICT

    decision_reserve_ms: Annotated[int, Field(ge=1, le=1000)] = 50
    """Lane + tick + exchange, measured at commissioning: decision deadline = DeadlineMs - this."""
    threads: Annotated[int, Field(ge=1, le=64)] = 1
    provider: Literal["auto", "cpu", "cuda"] = "auto"
    """`cuda` refuses a fallback to the CPU; `auto` takes CUDA where it is and says what it took."""


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


class StationSettings(BaseModel):
    """station.yaml: what a controls engineer edits."""

    model_config = STRICT

    station: Name
    device_class: Name
    plc: PlcSettings
    camera: CameraSettings
    judge: JudgeSettings = JudgeSettings()
    lanes: LaneSettings = LaneSettings()
    realtime: RealtimeSettings = RealtimeSettings()


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
