"""Protocol buffers as ONNX files use them, read without trust: bounded, and nothing is copied.

A message is a view into the file, and a walk over its fields never leaves it. A message within is
walked the same way by whoever knows that it is one: nothing here goes deeper by itself.
(https://protobuf.dev/programming-guides/encoding/)
"""

from collections.abc import Iterator
from typing import Final, NamedTuple

FIELDS_LIMIT: Final = 2_000_000
"""Of one message; a large network has some ten thousand nodes and weights."""
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_FIXED_BYTES: Final = {_FIXED64: 8, _FIXED32: 4}
_VARINT_BITS: Final = 70


class ProtobufError(ValueError):
    """The bytes are no message, or hold another kind of field than is asked for."""


class Field(NamedTuple):
    """One field of a message; a tuple, since a large network has hundreds of thousands.

    Attributes:
        value: A number of at least 0; a view if it is bytes, a text or a message; None if it is a
            number of fixed width (real numbers, of which nobody here asks).
        raw: The whole field as it stands in the file.
    """

    number: int
    value: int | memoryview | None
    raw: memoryview

    def content(self) -> memoryview:
        """Return what the field holds as bytes, a text or a message.

        Raises:
            ProtobufError: It holds a number.
        """
        if not isinstance(self.value, memoryview):
            raise ProtobufError(f"field {self.number} must be a message or a text, got a number")
        return self.value

    def whole(self) -> int:
        """Return the number that the field holds, at least 0.

        Raises:
            ProtobufError: It holds bytes, or a number of fixed width.
        """
        if not isinstance(self.value, int):
            raise ProtobufError(f"field {self.number} must be a whole number")
        return self.value


def fields(message: bytes | memoryview) -> Iterator[Field]:
    """Yield the fields of *message* in their order.

    Raises:
        ProtobufError: It ends within a field, has more of them than FIELDS_LIMIT, or has a field
            number or a wire type that ONNX does not use.
    """
    view = memoryview(message)
    end = len(view)
    at = count = 0
    while at < end:
        start, count = at, count + 1
        key, at = _varint(view, at)
        number, wire = key >> 3, key & 7
        if number == 0:
            raise ProtobufError("there is no field 0")
        if count > FIELDS_LIMIT:
            raise ProtobufError(f"a message must have at most {FIELDS_LIMIT} fields")
        value: int | memoryview | None = None
        if wire == _VARINT:
            value, at = _varint(view, at)
        elif wire == _BYTES:
            size, begin = _varint(view, at)
            at = begin + size
            value = view[begin:at]
        elif wire in _FIXED_BYTES:
            at += _FIXED_BYTES[wire]
        else:
            raise ProtobufError(f"field {number} has the unknown wire type {wire}")
        if at > end:
            raise ProtobufError(f"field {number} is cut off")
        yield Field(number, value, view[start:at])


def _varint(view: memoryview, at: int) -> tuple[int, int]:
    """Return the number that begins at *at*, and where it ends."""
    number = 0
    try:
        for shift in range(0, _VARINT_BITS, 7):
            byte = view[at]
            at += 1
            if byte < 0x80:
                return number | byte << shift, at
            number |= (byte & 0x7F) << shift
    except IndexError:
        raise ProtobufError("a number is cut off") from None
    raise ProtobufError("a number is too long")
