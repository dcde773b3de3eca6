"""One connection to one camera: found, set up, started; and its end."""

import contextlib
import ctypes
from dataclasses import dataclass
from typing import Final

from taktgate.edge.camera_settings import GigeCameraSettings
from taktgate.edge.clock import MILLISECOND
from taktgate.inspection.frames.grabber.gige.aravis import CONTROL_LOST, Aravis
from taktgate.inspection.frames.grabber.port import CameraLostError

BUFFERS: Final = 8
FORMATS: Final = ("Mono8", "RGB8", "BGR8", "RGB8Packed", "BGR8Packed")
_CONTINUOUS: Final = 0
_TICKS_HIGH, _TICKS_LOW = 0x093C, 0x0940
"""GigE Vision 1.2, bootstrap registers: timestamp tick frequency."""
_TRIGGER_SOURCES: Final = {"software": b"Software", "line": b"Line1"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """What Aravis gave us, and what the camera said of itself."""

    camera: int
    device: int
    stream: int
    address: str | None
    """Of a GigE Vision camera."""
    payload_bytes: int
    exposure_ns: int
    ticks_per_s: int
    """Of the camera's clock; 0 where it has none."""


class ControlLost:
    """Is set by the library, in a thread of its own, when the camera no longer obeys."""

    def __init__(self) -> None:
        self.is_set = False
        self.handler = CONTROL_LOST(self._set)

    def _set(self, *_: object) -> None:
        self.is_set = True


def connect(aravis: Aravis, settings: GigeCameraSettings, lost: ControlLost) -> Connection:
    """Find the camera, set its features and start it.

    Raises:
        CameraLostError: no such camera, somebody else controls it, or it refuses a feature.
    """
    camera = _find(aravis, settings.camera)
    try:
        return _start(aravis, camera, settings, lost)
    except BaseException:
        aravis.call("g_object_unref", camera)
        raise


def disconnect(aravis: Aravis, connection: Connection) -> None:
    """Stop the camera, if it still listens, and give everything back."""
    with contextlib.suppress(CameraLostError):
        aravis.attempt("arv_camera_stop_acquisition", connection.camera)
    aravis.call("g_object_unref", connection.stream)
    aravis.call("g_object_unref", connection.camera)


def read_long(aravis: Aravis, device: int, high: int, low: int) -> int:
    """Return the 64-bit value of two bootstrap registers; 0 where the camera does not have it."""
    value = 0
    for address in (high, low):
        word = ctypes.c_uint32()
        try:
            aravis.attempt("arv_device_read_register", device, address, ctypes.byref(word))
        except CameraLostError:
            return 0
        value = value << 32 | word.value
    return value


def _find(aravis: Aravis, name: str | None) -> int:
    aravis.call("arv_update_device_list")
    if name is None and not aravis.call("arv_get_n_devices"):
        raise CameraLostError("no GigE Vision camera is found on any network interface")
    camera: int | None = aravis.attempt("arv_camera_new", None if name is None else name.encode())
    if not camera:
        raise CameraLostError(f"camera.camera: no camera {name!r} is found")
    return camera


def _start(
    aravis: Aravis, camera: int, settings: GigeCameraSettings, lost: ControlLost
) -> Connection:
    device = aravis.call("arv_camera_get_device", camera)
    is_gige = bool(aravis.call("arv_camera_is_gv_device", camera))
    if is_gige and not aravis.call("arv_gv_device_is_controller", device):
        raise CameraLostError("another application controls the camera")
    _set_up(aravis, camera, device, settings)
    if is_gige:
        _set_packet_size(aravis, camera, settings.packet_bytes)
    payload_bytes = aravis.attempt("arv_camera_get_payload", camera)
    stream = _open_stream(aravis, camera, payload_bytes)
    aravis.call("g_signal_connect_data", device, b"control-lost", lost.handler, None, None, 0)
    try:
        aravis.attempt("arv_camera_set_acquisition_mode", camera, _CONTINUOUS)
        aravis.attempt("arv_camera_start_acquisition", camera)
    except CameraLostError:
        aravis.call("g_object_unref", stream)
        raise
    return Connection(
        camera=camera,
        device=device,
        stream=stream,
        address=aravis.address_of(device) if is_gige else None,
        payload_bytes=payload_bytes,
        exposure_ns=_exposure_ns(aravis, camera),
        ticks_per_s=read_long(aravis, device, _TICKS_HIGH, _TICKS_LOW) if is_gige else 0,
    )


def _set_up(aravis: Aravis, camera: int, device: int, settings: GigeCameraSettings) -> None:
    for name, value in settings.features.items():
        try:
            _set_feature(aravis, device, name, value)
        except CameraLostError as error:
            raise CameraLostError(f"camera.features.{name}: {value!r}: {error}") from None
    found = aravis.attempt("arv_camera_get_pixel_format_as_string", camera)
    pixel_format = "" if found is None else found.decode()
    if pixel_format not in FORMATS:
        raise CameraLostError(
            "camera.features.PixelFormat: must be Mono8, RGB8 or BGR8, "
            f"the camera has {pixel_format!r}"
        )
    if settings.trigger == "free":
        aravis.attempt("arv_camera_clear_triggers", camera)
    else:
        source = _TRIGGER_SOURCES[settings.trigger]
        aravis.attempt("arv_camera_set_trigger", camera, source)


def _set_feature(aravis: Aravis, device: int, name: str, value: str | float | bool) -> None:
    feature = name.encode()
    if isinstance(value, bool):
        aravis.attempt("arv_device_set_boolean_feature_value", device, feature, int(value))
    elif isinstance(value, str):
        aravis.attempt("arv_device_set_string_feature_value", device, feature, value.encode())
    elif isinstance(value, float):
        aravis.attempt("arv_device_set_float_feature_value", device, feature, value)
    else:
        try:
            aravis.attempt("arv_device_set_integer_feature_value", device, feature, value)
        except CameraLostError:  # YAML writes a whole number without a point
            aravis.attempt("arv_device_set_float_feature_value", device, feature, float(value))


def _set_packet_size(aravis: Aravis, camera: int, packet_bytes: int | None) -> None:
    if packet_bytes is None:
        aravis.attempt("arv_camera_gv_auto_packet_size", camera)
    else:
        aravis.attempt("arv_camera_gv_set_packet_size", camera, packet_bytes)


def _open_stream(aravis: Aravis, camera: int, payload_bytes: int) -> int:
    stream: int | None = aravis.attempt("arv_camera_create_stream", camera, None, None)
    if not stream:
        raise CameraLostError("the camera gives no stream")
    for _ in range(BUFFERS):
        buffer = aravis.call("arv_buffer_new", payload_bytes, None)
        aravis.call("arv_stream_push_buffer", stream, buffer)
    return stream


def _exposure_ns(aravis: Aravis, camera: int) -> int:
    try:
        microseconds = aravis.attempt("arv_camera_get_exposure_time", camera)
    except CameraLostError:
        return 0  # a camera that does not say
    return int(microseconds * MILLISECOND / 1000)
