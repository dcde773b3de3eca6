"""station.yaml `camera`: where frames come from, one model for each kind of camera."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag

STRICT = ConfigDict(extra="forbid", frozen=True)
DEFAULT_KIND = "network"


class CameraBase(BaseModel):
    """What all kinds have in common."""

    model_config = STRICT

    frame_window_ms: Annotated[int, Field(ge=1, le=5000)] = 120
    """A frame belongs to a trigger only if it arrives within this time of it."""
    correlation: Literal["counter", "software_trigger", "frame_trigger_id"] = "counter"
    """How frames and TriggerIds are matched: by time and the camera's frame counter; by exposing
    on the judge's command; or by the trigger's number that the camera sends with each frame."""


class NetworkCameraSettings(CameraBase):
    """Raw frames over TCP, as the stand-in's camera sends them."""

    kind: Literal["network"] = "network"
    address: str
    """host:port of the camera."""


class FolderCameraSettings(CameraBase):
    """Image files in the order of their names."""

    kind: Literal["folder"]
    path: str
    fps: Annotated[float, Field(gt=0.0, le=240.0)] | None = None
    """Frames a second; null: only on the judge's command."""
    loop: bool = True


class SyntheticCameraSettings(CameraBase):
    """Frames that are drawn: no two alike, each with its number in the pixels."""

    kind: Literal["synthetic"]
    width: Annotated[int, Field(ge=16, le=4096)] = 512
    height: Annotated[int, Field(ge=16, le=4096)] = 512
    channels: Literal[1, 3] = 1
    fps: Annotated[float, Field(gt=0.0, le=240.0)] | None = None
    seed: Annotated[int, Field(ge=0)] = 1


class OpenCvCameraSettings(CameraBase):
    """What OpenCV opens: rtsp://..., a video file, a V4L2 device."""

    kind: Literal["opencv"]
    url: str
    loop: bool = False
    """Begin a file again at its end."""


class GigeCameraSettings(CameraBase):
    """GigE Vision through Aravis."""

    kind: Literal["gige"]
    camera: str | None = None
    """Address, serial number or Aravis' id; null takes the first that is found."""
    interface: str | None = None
    """Name or address of the network interface to look on; null: all."""
    trigger: Literal["free", "software", "line"] = "free"
    features: dict[str, str | int | float | bool] = {}
    """GenICam features to be set before the start, for example ExposureTime."""
    packet_bytes: Annotated[int, Field(ge=576, le=9000)] | None = None


class ReplayCameraSettings(CameraBase):
    """Parts that a station has recorded, in their order."""

    kind: Literal["replay"]
    path: str
    speed: Annotated[float, Field(gt=0.0, le=100.0)] = 1.0
    """1: at the pace at which they were recorded."""


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return str(value.get("kind", DEFAULT_KIND))
    return str(getattr(value, "kind", DEFAULT_KIND))


CameraSettings = Annotated[
    Annotated[NetworkCameraSettings, Tag("network")]
    | Annotated[FolderCameraSettings, Tag("folder")]
    | Annotated[SyntheticCameraSettings, Tag("synthetic")]
    | Annotated[OpenCvCameraSettings, Tag("opencv")]
    | Annotated[GigeCameraSettings, Tag("gige")]
    | Annotated[ReplayCameraSettings, Tag("replay")],
    Discriminator(_kind),
]
