"""Aravis' fake GigE Vision camera with our pixels: real GVCP and GVSP over UDP.

Of the library's public interface (`arvgvfakecamera.h`, `arvfakecamera.h`). One camera holds port
3956 of its interface; it can be killed, stopped and started again like a process on a shelf.
"""

import ctypes
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

LIBRARY: Final = "libaravis-0.8.so.0"
_Pointer = ctypes.c_void_p
_FILL: Final = ctypes.CFUNCTYPE(
    None, _Pointer, _Pointer, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32
)

Fill = Callable[[NDArray[np.uint8]], None]
"""Writes one frame into a flat array of the payload's bytes."""


class FakeCamera:
    """Runs from its making until the process ends."""

    def __init__(
        self, interface: str, serial: str, fill: Fill, *, lost_packets: float = 0.0
    ) -> None:
        """Start.

        Args:
            interface: Name ("lo") or address of the network interface.
            serial: Serial number; clients find the camera as "Aravis-Fake-SERIAL".
            fill: Is called for each exposure, in a thread of the library.
            lost_packets: Share of the stream's packets that are not sent, 0..1.

        Raises:
            OSError: the library is missing, or the interface or its port is not to be had.
        """
        self._aravis = _load()
        self._camera = self._aravis.arv_gv_fake_camera_new(interface.encode(), serial.encode())
        if not self._aravis.arv_gv_fake_camera_is_running(self._camera):
            raise OSError(
                f"no camera can run on {interface}: no such interface, or port 3956 taken"
            )
        self._fill = fill
        self._callback = _FILL(self._on_fill)  # kept: the library holds no reference
        self._inner = self._aravis.arv_gv_fake_camera_get_fake_camera(self._camera)
        self._aravis.arv_fake_camera_set_fill_pattern(self._inner, self._callback, None)
        if lost_packets:
            gobject = ctypes.CDLL("libgobject-2.0.so.0")
            gobject.g_object_set.argtypes = (
                _Pointer,
                ctypes.c_char_p,
                ctypes.c_double,
                _Pointer,
            )
            gobject.g_object_set(self._camera, b"gvsp-lost-ratio", lost_packets, None)

    def _on_fill(self, buffer: int, *_: object) -> None:
        # The size that goes with the data is that of what was received: nothing was, here.
        address = self._aravis.arv_buffer_get_data(buffer, None)
        size = self._aravis.arv_fake_camera_get_payload(self._inner)
        memory = (ctypes.c_uint8 * size).from_address(address)
        self._fill(np.frombuffer(memoryview(memory), np.uint8))


def _load() -> Any:
    aravis = ctypes.CDLL(LIBRARY)
    aravis.arv_gv_fake_camera_new.restype = _Pointer
    aravis.arv_gv_fake_camera_new.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
    aravis.arv_gv_fake_camera_is_running.argtypes = (_Pointer,)
    aravis.arv_gv_fake_camera_get_fake_camera.restype = _Pointer
    aravis.arv_gv_fake_camera_get_fake_camera.argtypes = (_Pointer,)
    aravis.arv_fake_camera_set_fill_pattern.argtypes = (_Pointer, _FILL, _Pointer)
    aravis.arv_fake_camera_get_payload.restype = ctypes.c_size_t
    aravis.arv_fake_camera_get_payload.argtypes = (_Pointer,)
    aravis.arv_buffer_get_data.restype = _Pointer
    aravis.arv_buffer_get_data.argtypes = (_Pointer, ctypes.POINTER(ctypes.c_size_t))
    return aravis
