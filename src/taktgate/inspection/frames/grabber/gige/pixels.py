"""From one of Aravis' buffers to pixels: which formats, which order of colours."""

import ctypes
from typing import Final

import numpy as np

from taktgate.inspection.frames.grabber.gige.aravis import Aravis
from taktgate.inspection.frames.grabber.port import Pixels

_MONO8, _RGB8, _BGR8 = 0x01080001, 0x02180014, 0x02180015
"""GenICam Pixel Format Naming Convention."""
_CHANNELS: Final = {_MONO8: 1, _RGB8: 3, _BGR8: 3}

_STATUS: Final = {
    1: "cleared",
    2: "timeout",
    3: "missing_packets",
    4: "wrong_packet_id",
    5: "size_mismatch",
    6: "filling",
    7: "aborted",
    8: "payload_not_supported",
}
"""ArvBufferStatus in `arvbuffer.h`; 0 alone is a whole frame."""


def damage_of(aravis: Aravis, buffer: int) -> str | None:
    """Return what is wrong with the frame in *buffer*, None when it is whole."""
    status = aravis.call("arv_buffer_get_status", buffer)
    return None if status == 0 else _STATUS.get(status, "unknown_status")


def pixels_of(aravis: Aravis, buffer: int) -> Pixels | None:
    """Return the image in *buffer*, without a copy but for BGR8; None for another format."""
    pixel_format = aravis.call("arv_buffer_get_image_pixel_format", buffer)
    channels = _CHANNELS.get(pixel_format)
    if channels is None:
        return None
    width = aravis.call("arv_buffer_get_image_width", buffer)
    height = aravis.call("arv_buffer_get_image_height", buffer)
    size, count = ctypes.c_size_t(), width * height * channels
    address = aravis.call("arv_buffer_get_data", buffer, ctypes.byref(size))
    if not address or size.value < count:
        return None
    flat = np.frombuffer((ctypes.c_uint8 * count).from_address(address), np.uint8)
    if channels == 1:
        return flat.reshape(height, width)
    image = flat.reshape(height, width, channels)
    return image if pixel_format == _RGB8 else np.ascontiguousarray(image[:, :, ::-1])
