"""Requests that are built once: where their values go, and what they must be answered.

A frame's bytes are kept and only patched; everything of a reply that is no value is compared.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from taktgate.plc.contract.wire import TagRead, TagWrite
from taktgate.plc.errors import LinkDeadError
from taktgate.plc.link.cip import (
    check_writes,
    confirmation_of_writes,
    read_tag,
    several,
    type_field,
    write_tag,
)

FrameOf = Callable[[bytes], bytearray]
"""Puts a message into a frame, of which it is the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteFrame:
    """A request that writes: its frame, and of each value its place, its size and its tag."""

    frame: bytearray
    places: tuple[tuple[slice, int, str], ...]
    confirmation: bytes
    reply: bytearray
    """The frame in which the confirmation comes, but for its sequence count."""

    def fill(self, contents: Sequence[bytes]) -> bytearray:
        """Return the frame with *contents* for the writes that it was built for.

        Raises:
            ValueError: one has another size: our bug.
        """
        frame = self.frame
        for (place, size, path), data in zip(self.places, contents, strict=True):
            if len(data) != size:
                raise ValueError(f"{path} must have {size} bytes, not {len(data)}")
            frame[place] = data
        return frame

    def check(self, message: bytes) -> None:
        """Accept *message* when it says that each write was executed, and nothing else.

        Raises:
            LinkDeadError: names the first tag that was refused.
        """
        if message != self.confirmation:
            check_writes(message, [path for _, _, path in self.places])
            raise LinkDeadError("confirmation of writes is not as it must be")


def read_message(reads: Sequence[TagRead]) -> bytes:
    """Return the one request for *reads*."""
    return several([read_tag(read.path) for read in reads])


def write_frame(
    writes: Sequence[TagWrite], handles: Mapping[str, int], frame_of: FrameOf, reply_of: FrameOf
) -> WriteFrame:
    """Return the one request for *writes*; *reply_of* frames what comes back.

    Raises:
        ValueError: the handle of a structure is not in *handles*.
    """
    messages = [
        write_tag(write.path, type_field(write.type, handles), write.data) for write in writes
    ]
    frame = frame_of(several(messages))
    confirmation = confirmation_of_writes(len(writes))
    places: list[tuple[slice, int, str]] = []
    # From the end: each message ends with its value.
    end = len(frame)
    for write, message in zip(reversed(writes), reversed(messages), strict=True):
        size = len(write.data)
        places.append((slice(end - size, end), size, write.path))
        end -= len(message)
    return WriteFrame(
        frame=frame,
        places=tuple(reversed(places)),
        confirmation=confirmation,
        reply=reply_of(confirmation),
    )
