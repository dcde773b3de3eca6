"""From the body of `/infer` to the frame that the model sees. Pure; runs in the decoder's process.

A float tensor becomes uint8 pixels by rounding x * 255, since that is what a camera delivers and a
runner takes: exact for every image that had 8 bits before it became floats.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError

from taktgate.contracts.codec import STRICT_DOCUMENT
from taktgate.inspection.errors import ImageRefusedError
from taktgate.inspection.frames.images import read_image
from taktgate.inspection.frames.ring import SLOT_BYTES
from taktgate.inspection.surface.errors import BadInputError

Pixels = NDArray[np.uint8]
TENSOR_CHANNELS: Final = 3
MAX_CORRELATION_ID: Final = 128
_FLOAT_BYTES: Final = 4
_MAX_SIDE: Final = 8192


class Media(StrEnum):
    """The content types of `/infer`."""

    JSON = "application/json"
    RAW = "application/octet-stream"
    JPEG = "image/jpeg"
    PNG = "image/png"


_FORMATS: Final = {Media.JPEG: "JPEG", Media.PNG: "PNG"}


class Layout(StrEnum):
    """How raw bytes lie."""

    UINT8_HWC = "uint8_hwc"
    FLOAT32_CHW = "float32_chw"


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What a body is said to be, and the model that it is for."""

    __pydantic_config__ = STRICT_DOCUMENT

    media: Media
    layout: Layout = Layout.UINT8_HWC
    width: int | None = None
    height: int | None = None
    channels: int | None = None
    model_width: int
    model_height: int
    threshold: float
    """The signed bundle's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A frame, uint8, [height, width] or [height, width, 3], and what came with it."""

    pixels: Pixels
    correlation_id: str | None = None


class TensorBody(BaseModel):
    """The article's request."""

    model_config = ConfigDict(extra="forbid", strict=True)

    tensor: Annotated[
        list[Annotated[float, Field(ge=0.0, le=1.0, allow_inf_nan=False)]], FailFast()
    ]
    threshold: Annotated[float, Field(ge=0.0, le=1.0)] | None = None
    correlation_id: Annotated[str, Field(max_length=MAX_CORRELATION_ID)] | None = None


def picture_of(task: Task, body: bytes) -> Picture:
    """Return the picture in *body*.

    Raises:
        BadInputError: 413 or 422; the field and the rule that is broken.
    """
    if task.media is Media.JSON:
        return _from_json(task, body)
    if task.media is Media.RAW:
        floats = task.layout is Layout.FLOAT32_CHW
        return Picture(pixels=_from_floats(task, body) if floats else _from_bytes(task, body))
    return Picture(pixels=_from_file(task.media, body))


def _from_json(task: Task, body: bytes) -> Picture:
    try:
        request = TensorBody.model_validate_json(body)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        raise BadInputError(fault["msg"], field=_name_of(fault["loc"])) from None
    if request.threshold is not None and request.threshold != task.threshold:
        raise BadInputError(
            f"the limit lives in the signed bundle: leave it out, or send {task.threshold}",
            field="threshold",
        )
    wanted = TENSOR_CHANNELS * task.model_height * task.model_width
    if len(request.tensor) != wanted:
        raise BadInputError(
            f"must have exactly {TENSOR_CHANNELS}x{task.model_height}x{task.model_width} = "
            f"{wanted} elements, got {len(request.tensor)}",
            field="tensor",
        )
    values = np.asarray(request.tensor, dtype=np.float64)
    return Picture(pixels=_to_pixels(task, values), correlation_id=request.correlation_id)


def _name_of(steps: tuple[int | str, ...]) -> str:
    """Return for example `tensor[17]`."""
    name = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return name.removeprefix(".") or "body"


def _from_floats(task: Task, body: bytes) -> Pixels:
    size = _FLOAT_BYTES * TENSOR_CHANNELS * task.model_height * task.model_width
    if len(body) != size:
        raise BadInputError(
            f"must be exactly {TENSOR_CHANNELS}x{task.model_height}x{task.model_width} float32, "
            f"{size} bytes, got {len(body)}",
            field="body",
        )
    values = np.frombuffer(body, dtype="<f4")
    # Written so that a NaN fails it.
    good = (values >= 0.0) & (values <= 1.0)
    if not good.all():
        first = int(np.argmin(good))
        rule = f"must be finite and within 0..1, got {values[first]}"
        raise BadInputError(rule, field=f"tensor[{first}]")
    return _to_pixels(task, values)


def _to_pixels(task: Task, values: NDArray[np.floating]) -> Pixels:
    planes = values.reshape(TENSOR_CHANNELS, task.model_height, task.model_width)
    levels = np.rint(planes * 255.0).astype(np.uint8)
    return np.ascontiguousarray(levels.transpose(1, 2, 0))


def _from_bytes(task: Task, body: bytes) -> Pixels:
    width, height = _side("width", task.width), _side("height", task.height)
    channels = task.channels
    if channels not in (1, 3):
        raise BadInputError("must be 1 or 3", field="channels")
    _require_fits(width * height * channels)
    if len(body) != width * height * channels:
        raise BadInputError(
            f"must be {width}x{height}x{channels} = {width * height * channels} bytes, "
            f"got {len(body)}",
            field="body",
        )
    flat = np.frombuffer(body, dtype=np.uint8)
    return flat.reshape((height, width) if channels == 1 else (height, width, channels))


def _side(name: str, value: int | None) -> int:
    if value is None or not 1 <= value <= _MAX_SIDE:
        raise BadInputError(f"must be 1..{_MAX_SIDE} with raw pixels", field=name)
    return value


def _from_file(media: Media, body: bytes) -> Pixels:
    """Return the pixels of a file, by the rule that holds for a camera's files as well."""
    try:
        return read_image(body, limit_bytes=SLOT_BYTES, formats=(_FORMATS[media],))
    except ImageRefusedError as error:
        status = 413 if error.reason == "SIZE" else 422
        raise BadInputError(str(error), field="body", status=status) from None


def _require_fits(size_bytes: int) -> None:
    if size_bytes > SLOT_BYTES:
        rule = f"an image must have at most {SLOT_BYTES} bytes of pixels"
        raise BadInputError(rule, field="body", status=413)
