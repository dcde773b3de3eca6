"""From a camera's settings to the library that grabs from it; only that library is imported."""

from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from taktgate.contracts.codec import ContractError, first_fault
from taktgate.edge.camera_settings import (
    CameraSettings,
    FolderCameraSettings,
    GigeCameraSettings,
    OpenCvCameraSettings,
    ReplayCameraSettings,
    SyntheticCameraSettings,
)
from taktgate.inspection.frames.grabber.port import Grabber

_ADAPTER: Final[TypeAdapter[Any]] = TypeAdapter(CameraSettings)


def read_assignment(data: bytes) -> CameraSettings:
    """Return the settings that the judge has sent.

    Raises:
        ContractError: they are none.
    """
    try:
        settings: CameraSettings = _ADAPTER.validate_json(data)
    except ValidationError as error:
        raise first_fault("camera", error) from None
    return settings


def open_grabber(settings: CameraSettings) -> Grabber:
    """Return the grabber for *settings*; it connects when it is opened.

    Raises:
        ContractError: this kind of camera is not grabbed from.
    """
    # Imported here, each for its own kind: a library that is missing stops no other camera.
    if isinstance(settings, FolderCameraSettings):
        from taktgate.inspection.frames.grabber.folder import FolderGrabber

        return FolderGrabber(settings)
    if isinstance(settings, SyntheticCameraSettings):
        from taktgate.inspection.frames.grabber.synthetic import SyntheticGrabber

        return SyntheticGrabber(settings)
    if isinstance(settings, OpenCvCameraSettings):
        from taktgate.inspection.frames.grabber.opencv import OpenCvGrabber

        return OpenCvGrabber(settings)
    if isinstance(settings, ReplayCameraSettings):
        from taktgate.inspection.frames.grabber.replay import ReplayGrabber

        return ReplayGrabber(settings)
    if isinstance(settings, GigeCameraSettings):
        from taktgate.inspection.frames.grabber.gige.camera import GigeCamera

        return GigeCamera(settings)
    raise ContractError("camera", "kind", f"{settings.kind!r} is not grabbed from")
