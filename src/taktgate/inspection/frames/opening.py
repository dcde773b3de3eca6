"""From station.yaml's `camera` to the frame source it names."""

from taktgate.edge.camera_settings import CameraSettings, NetworkCameraSettings
from taktgate.inspection.frames.camera import FrameSource
from taktgate.inspection.frames.grabber.camera import GrabberCamera
from taktgate.inspection.frames.grabber.link import GrabberLink
from taktgate.inspection.frames.network_camera import NetworkCamera
from taktgate.inspection.frames.ring import FrameRing
from taktgate.inspection.spawning.port import Starter


def open_camera(settings: CameraSettings, ring: FrameRing, starter: Starter) -> FrameSource:
    """Return the camera of this station; it connects later, without anybody waiting.

    Args:
        settings: Which.
        ring: Where frames go.
        starter: Starts the process of a camera that needs one.
    """
    if isinstance(settings, NetworkCameraSettings):
        return NetworkCamera(settings.address, ring)
    assignment = settings.model_dump_json().encode()
    return GrabberCamera(
        assignment, ring, start=lambda order, memory: GrabberLink(order, memory, starter)
    )
