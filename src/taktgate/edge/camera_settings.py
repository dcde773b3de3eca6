"""station.yaml `camera`: where frames come from, one model for each kind of camera."""

from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

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

    @model_validator(mode="after")
    def _is_triggered_by_a_wire(self) -> Self:
        return _counts_only(self, "a network camera is triggered by a wire")


class FolderCameraSettings(CameraBase):
    """Image files in the order of their names."""

    kind: Literal["folder"]
    path: str
    fps: Annotated[float, Field(gt=0.0, le=240.0)] | None = None
    """Frames a second; null: only on the judge's command."""
    loop: bool = True
    """Begin again at the end; otherwise the camera is lost there."""

    @model_validator(mode="after")
    def _shows_something(self) -> Self:
        return _runs_free_or_on_command(self, is_paced=self.fps is not None)


class SyntheticCameraSettings(CameraBase):
    """Frames that are drawn: no two alike, each with its number in the pixels."""

    kind: Literal["synthetic"]
    width: Annotated[int, Field(ge=16, le=4096)] = 512
    height: Annotated[int, Field(ge=16, le=4096)] = 512
    channels: Literal[1, 3] = 1
    fps: Annotated[float, Field(gt=0.0, le=240.0)] | None = None
    """Frames a second; null: only on the judge's command."""
    seed: Annotated[int, Field(ge=0)] = 1
    defect_share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.0
    """How many of the parts that are drawn have a defect."""

    @model_validator(mode="after")
    def _shows_something(self) -> Self:
        return _runs_free_or_on_command(self, is_paced=self.fps is not None)


class OpenCvCameraSettings(CameraBase):
    """What OpenCV opens: rtsp://..., a video file, a V4L2 device."""

    kind: Literal["opencv"]
    url: str
    loop: bool = False
    """Begin a file again at its end; otherwise the camera is lost there."""
    channels: Literal[1, 3] = 3
    """1: grey."""
    latency_ms: Annotated[int, Field(ge=0, le=10_000)] = 500
    """The longest that a stream's image may take from exposure to its arrival here. A stream does
    not say when it exposed: that is taken to be so much earlier, and never later than it was. A
    file needs none."""

    @model_validator(mode="after")
    def _runs_free(self) -> Self:
        return _counts_only(self, "what OpenCV opens cannot be triggered")


class GigeCameraSettings(CameraBase):
    """GigE Vision through Aravis."""

    kind: Literal["gige"]
    camera: str | None = None
    """Address, serial number or Aravis' id; null takes the first that is found."""
    trigger: Literal["free", "software", "line"] = "free"
    features: dict[str, str | int | float | bool] = {}
    """GenICam features to be set before the start, for example ExposureTime."""
    timestamp: Literal["exposure_start", "exposure_end"] = "exposure_start"
    """What the camera's time stamp is of (GenICam SFNC: the start); see the camera's manual."""
    packet_bytes: Annotated[int, Field(ge=576, le=9000)] | None = None

    @model_validator(mode="after")
    def _shows_something(self) -> Self:
        if self.correlation == "frame_trigger_id":
            raise ValueError(
                "correlation must be 'counter' or 'software_trigger': "
                "the camera's count of its triggers is not read"
            )
        if (self.trigger == "software") is not (self.correlation == "software_trigger"):
            raise ValueError(
                "trigger 'software' and correlation 'software_trigger' go together only: "
                "the judge sends the trigger"
            )
        return self


class ReplayCameraSettings(CameraBase):
    """Parts that a station has recorded, in their order."""

    kind: Literal["replay"]
    path: str
    """The folder of a station's part records: `parts-*.jsonl`, and `images` beside them."""
    speed: Annotated[float, Field(gt=0.0, le=100.0)] = 1.0
    """1: at the pace at which they were recorded. With correlation `software_trigger` each part
    comes on the judge's command instead."""

    @model_validator(mode="after")
    def _shows_something(self) -> Self:
        return _runs_free_or_on_command(self, is_paced=self.correlation == "counter")


Camera = TypeVar("Camera", bound=CameraBase)


def _counts_only(camera: Camera, why: str) -> Camera:
    """Return *camera* if its frames are matched by time and number.

    Raises:
        ValueError: they cannot be matched otherwise.
    """
    if camera.correlation != "counter":
        raise ValueError(f"correlation must be 'counter', got {camera.correlation!r}: {why}")
    return camera


def _runs_free_or_on_command(camera: Camera, *, is_paced: bool) -> Camera:
    """Return *camera* if it has either a pace or the judge to command it.

    Raises:
        ValueError: it would never show anything, or its frames could not be matched.
    """
    if camera.correlation == "frame_trigger_id":
        raise ValueError("correlation must be 'counter' or 'software_trigger': no pulse is counted")
    if is_paced and camera.correlation == "software_trigger":
        raise ValueError("fps must be null with correlation 'software_trigger'")
    if not is_paced and camera.correlation == "counter":
        raise ValueError("fps must be given, or correlation must be 'software_trigger'")
    return camera


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
