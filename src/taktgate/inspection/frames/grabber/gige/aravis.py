"""The few functions of Aravis 0.8 (LGPL-2.1) that we call, with their C signatures.

By ctypes, since the library's own Python binding is made for the system's interpreter alone. Names
and types as in the headers `arvcamera.h`, `arvstream.h`, `arvbuffer.h`, `arvgvdevice.h`.
"""

import ctypes
from collections.abc import Callable
from typing import Any, Final

from taktgate.inspection.frames.grabber.port import CameraLostError, CameraMissingLibraryError

LIBRARY: Final = "libaravis-0.8.so.0"
HOW_TO_GET_IT: Final = "install libaravis-0.8-0 (Debian), or aravis 0.8"

Pointer = ctypes.c_void_p
_String = ctypes.c_char_p
_Int, _Unsigned = ctypes.c_int, ctypes.c_uint
_U32, _U64, _I64 = ctypes.c_uint32, ctypes.c_uint64, ctypes.c_int64
_Size, _Double = ctypes.c_size_t, ctypes.c_double

CONTROL_LOST: Final = ctypes.CFUNCTYPE(None, Pointer, Pointer)
"""Handler of ArvDevice's signal `control-lost`; called in a thread of the library."""


class GError(ctypes.Structure):
    """GLib's error."""

    _fields_ = (("domain", _U32), ("code", _Int), ("message", _String))


_Error = ctypes.POINTER(ctypes.POINTER(GError))

# What each function returns and takes; with an error pointer as its last argument where one is due.
_PLAIN: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "arv_update_device_list": (None, ()),
    "arv_get_n_devices": (_Unsigned, ()),
    "arv_get_device_id": (_String, (_Unsigned,)),
    "arv_camera_get_device": (Pointer, (Pointer,)),
    "arv_camera_is_gv_device": (_Int, (Pointer,)),
    "arv_gv_device_get_device_address": (Pointer, (Pointer,)),
    "arv_gv_device_is_controller": (_Int, (Pointer,)),
    "arv_buffer_new": (Pointer, (_Size, Pointer)),
    "arv_buffer_get_status": (_Int, (Pointer,)),
    "arv_buffer_get_data": (Pointer, (Pointer, ctypes.POINTER(_Size))),
    "arv_buffer_get_frame_id": (_U64, (Pointer,)),
    "arv_buffer_get_timestamp": (_U64, (Pointer,)),
    "arv_buffer_get_image_width": (_Int, (Pointer,)),
    "arv_buffer_get_image_height": (_Int, (Pointer,)),
    "arv_buffer_get_image_pixel_format": (_U32, (Pointer,)),
    "arv_stream_push_buffer": (None, (Pointer, Pointer)),
    "arv_stream_timeout_pop_buffer": (Pointer, (Pointer, _U64)),
}
_FALLIBLE: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "arv_camera_new": (Pointer, (_String,)),
    "arv_camera_create_stream": (Pointer, (Pointer, Pointer, Pointer)),
    "arv_camera_get_payload": (_Unsigned, (Pointer,)),
    "arv_camera_get_exposure_time": (_Double, (Pointer,)),
    "arv_camera_get_pixel_format_as_string": (_String, (Pointer,)),
    "arv_camera_set_acquisition_mode": (None, (Pointer, _Int)),
    "arv_camera_start_acquisition": (None, (Pointer,)),
    "arv_camera_stop_acquisition": (None, (Pointer,)),
    "arv_camera_set_trigger": (None, (Pointer, _String)),
    "arv_camera_clear_triggers": (None, (Pointer,)),
    "arv_camera_software_trigger": (None, (Pointer,)),
    "arv_camera_gv_auto_packet_size": (_Unsigned, (Pointer,)),
    "arv_camera_gv_set_packet_size": (None, (Pointer, _Int)),
    "arv_device_set_string_feature_value": (None, (Pointer, _String, _String)),
    "arv_device_set_integer_feature_value": (None, (Pointer, _String, _I64)),
    "arv_device_set_float_feature_value": (None, (Pointer, _String, _Double)),
    "arv_device_set_boolean_feature_value": (None, (Pointer, _String, _Int)),
    "arv_device_read_register": (_Int, (Pointer, _U64, ctypes.POINTER(_U32))),
    "arv_device_write_register": (_Int, (Pointer, _U64, _U32)),
}
_GLIB: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "g_object_unref": (None, (Pointer,)),
    "g_signal_connect_data": (
        ctypes.c_ulong,
        (Pointer, _String, CONTROL_LOST, Pointer, Pointer, _Int),
    ),
}
_GIO: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "g_inet_socket_address_get_address": (Pointer, (Pointer,)),
    "g_inet_address_to_string": (Pointer, (Pointer,)),
}


class Aravis:
    """The loaded library."""

    def __init__(self) -> None:
        """Load it.

        Raises:
            CameraMissingLibraryError: it, or a function of it, is not there.
        """
        try:
            aravis = ctypes.CDLL(LIBRARY)
            glib, gobject, gio = (
                ctypes.CDLL(f"lib{name}-2.0.so.0") for name in ("glib", "gobject", "gio")
            )
            self._functions: dict[str, Callable[..., Any]] = {
                **_bind(aravis, _PLAIN),
                **_bind(aravis, {k: (r, (*a, _Error)) for k, (r, a) in _FALLIBLE.items()}),
                **_bind(gobject, _GLIB),
                **_bind(gio, _GIO),
            }
            self._free_error = glib.g_error_free
            self._free = glib.g_free
        except (OSError, AttributeError) as error:
            raise CameraMissingLibraryError(f"{error}: {HOW_TO_GET_IT}") from error
        self._free_error.argtypes = (ctypes.POINTER(GError),)
        self._free.argtypes = (Pointer,)

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function that cannot fail."""
        return self._functions[name](*arguments)

    def attempt(self, name: str, *arguments: Any) -> Any:
        """Call a function that can fail.

        Raises:
            CameraLostError: it did; the message is the library's.
        """
        error = ctypes.POINTER(GError)()
        result = self._functions[name](*arguments, ctypes.byref(error))
        if error:
            message = error.contents.message.decode(errors="replace")
            self._free_error(error)
            raise CameraLostError(message)
        return result

    def address_of(self, device: int) -> str | None:
        """Return the IP address of a GigE Vision device."""
        address = self.call("arv_gv_device_get_device_address", device)
        if not address:
            return None
        text = self.call("g_inet_address_to_string", self.call(_ADDRESS_OF, address))
        try:
            return ctypes.string_at(text).decode()
        finally:
            self._free(text)  # the address itself belongs to the device


_ADDRESS_OF: Final = "g_inet_socket_address_get_address"


def _bind(
    library: ctypes.CDLL, signatures: dict[str, tuple[Any, tuple[Any, ...]]]
) -> dict[str, Callable[..., Any]]:
    functions: dict[str, Callable[..., Any]] = {}
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
        functions[name] = function
    return functions
