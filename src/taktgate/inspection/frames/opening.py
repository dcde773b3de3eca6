"""From station.yaml's `camera` to the frame source it names."""

from taktgate.edge.camera_settings import CameraSettings, NetworkCameraSettings
from taktgate.edge.places import SettingsError
from taktgate.inspection.frames.camera import FrameSource
from taktgate.inspection.frames.network_camera import NetworkCamera
from taktgate.inspection.frames.ring import FrameRing


def open_camera(settings: CameraSettings, ring: FrameRing) -> FrameSource:
    """Return the camera of this station; it connects later, without anybody waiting.

    Raises:
        SettingsError: there is no such kind of camera yet.
    """
    if isinstance(settings, NetworkCameraSettings):
        return NetworkCamera(settings.address, ring)
    raise SettingsError(f"station.yaml: field 'camera.kind': {settings.kind!r} is not built yet")
