"""Settings of a module: where things lie (environment) and what the station is (station.yaml).

Read once, at start. An unknown key or a bad value refuses the start with the field and the rule.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from taktgate.contracts.codec import Name, first_fault

M = TypeVar("M", bound=BaseModel)
STRICT = ConfigDict(extra="forbid", frozen=True)


class SettingsError(ValueError):
    """A setting is missing, unknown or breaks its rule."""


class PlcSettings(BaseModel):
    """The controller and how it is spoken to."""

    model_config = STRICT

    address: str
    """Host, `host:port`, or `host/slot`, as pycomm3 takes it."""
    tick_ms: Annotated[int, Field(ge=5, le=100)] = 10
    reply_timeout_ms: Annotated[int, Field(ge=20, le=1000)] = 100
    write_reserve_ms: Annotated[int, Field(ge=1, le=1000)] = 20
    """How long before the station deadline the writer answers for a silent judge."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a module finds its volumes and files."""

    station_file: Path
    config: Path
    """guardrails.yaml and trusted_keys/ lie here."""
    lane: Path
    """Shared by inference and plc_writer: the two inboxes."""
    private: Path
    """Sockets and locks between the processes of one module."""
    slots: Path
    """Written by model_stager alone."""
    state: Path
    """Written by inference's agent alone."""
    metrics_address: str
    metrics_port: int


def places_from(environment: Mapping[str, str] = os.environ) -> Places:
    """Return the places named by *environment*, each with the default of our images.

    Raises:
        SettingsError: TAKTGATE_METRICS_PORT is not a port.
    """

    def path(variable: str, default: str) -> Path:
        return Path(environment.get(variable, default))

    port = environment.get("TAKTGATE_METRICS_PORT", "9600")
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise SettingsError(f"TAKTGATE_METRICS_PORT: must be 1..65535, got {port!r}")
    return Places(
        station_file=path("TAKTGATE_STATION_FILE", "/etc/taktgate/station.yaml"),
        config=path("TAKTGATE_CONFIG_DIR", "/etc/taktgate"),
        lane=path("TAKTGATE_LANE_DIR", "/run/taktgate/lane"),
        private=path("TAKTGATE_PRIVATE_DIR", "/run/taktgate/private"),
        slots=path("TAKTGATE_SLOTS_DIR", "/var/lib/taktgate/slots"),
        state=path("TAKTGATE_STATE_DIR", "/var/lib/taktgate/state"),
        metrics_address=environment.get("TAKTGATE_METRICS_ADDRESS", "0.0.0.0"),  # noqa: S104 - the container's own network
        metrics_port=int(port),
    )


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
