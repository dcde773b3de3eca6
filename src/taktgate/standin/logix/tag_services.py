"""Read, write and change tags: the services of 1756-PM020, on any path into the tag memory."""

import struct
from collections.abc import Callable
from enum import IntEnum
from typing import Final

from taktgate.standin.logix.data_types import Atomic
from taktgate.standin.logix.errors import CipError, Extended, Status
from taktgate.standin.logix.locations import Location, Locator
from taktgate.standin.logix.memory import TagMemory
from taktgate.standin.logix.messages import Reply, Request
from taktgate.standin.logix.tag_table import Access
from taktgate.standin.logix.torn_writes import TornWrites


class TagService(IntEnum):
    """Services on a tag."""

    READ = 0x4C
    WRITE = 0x4D
    READ_MODIFY_WRITE = 0x4E
    READ_FRAGMENTED = 0x52
    WRITE_FRAGMENTED = 0x53


_INTEGERS: Final = (Atomic.SINT, Atomic.INT, Atomic.DINT, Atomic.LINT, Atomic.DWORD)


class TagServices:
    """Executes tag services on a memory.

    Bytes behind the end of a write are ignored, as the controllers in the field do: pycomm3 sends
    the body of a single write twice. `is_strict` refuses them.
    """

    def __init__(self, memory: TagMemory, *, is_strict: bool = False) -> None:
        self._memory = memory
        self._locator = Locator(memory)
        self.torn_writes = TornWrites(memory)
        self._is_strict = is_strict
        self._services: dict[int, Callable[[Location, Request], Reply]] = {
            TagService.READ: self._read,
            TagService.READ_FRAGMENTED: self._read,
            TagService.WRITE: self._write,
            TagService.WRITE_FRAGMENTED: self._write,
            TagService.READ_MODIFY_WRITE: self._modify,
        }

    def execute(self, request: Request) -> Reply:
        """Return the answer to *request*.

        Raises:
            CipError: the request is refused.
            struct.error: the request is too short.
        """
        service = self._services.get(request.service)
        if service is None:
            raise CipError(Status.SERVICE_NOT_SUPPORTED)
        location = self._locator.locate(request.path)
        if location.symbol.access is Access.NONE:
            raise CipError(Status.PERMISSION_DENIED)
        self.torn_writes.before_access(location.symbol)
        return service(location, request)

    def _read(self, location: Location, request: Request) -> Reply:
        elements, skip = struct.unpack_from("<H", request.data)[0], 0
        if request.service == TagService.READ_FRAGMENTED:
            (skip,) = struct.unpack_from("<I", request.data, 2)
        span = location.span_bytes(elements)
        if skip >= span:
            raise CipError(Status.GENERAL_ERROR, Extended.BEYOND_END)
        kind = location.data_type.wire_type
        room = (request.room - len(kind)) // 4 * 4
        if room <= 0:
            raise CipError(Status.REPLY_TOO_LARGE)
        data = self._bytes(location, span)[skip : skip + room]
        is_whole = skip + len(data) == span
        status = Status.SUCCESS if is_whole else Status.PARTIAL_TRANSFER
        return Reply(data=kind + data, status=status)

    def _write(self, location: Location, request: Request) -> Reply:
        self._check_access(location)
        kind = location.data_type.wire_type
        if request.data[: len(kind)] != kind:
            raise CipError(Status.GENERAL_ERROR, Extended.TYPE_MISMATCH)
        (elements,) = struct.unpack_from("<H", request.data, len(kind))
        head, skip = len(kind) + 2, 0
        span = location.span_bytes(elements)
        if request.service == TagService.WRITE_FRAGMENTED:
            (skip,) = struct.unpack_from("<I", request.data, head)
            data = request.data[head + 4 :]
            if not data or skip + len(data) > span:
                raise CipError(Status.GENERAL_ERROR, Extended.BEYOND_END)
        else:
            data = self._exactly(request.data[head:], span)
        self._store(location, skip, data)
        return Reply()

    def _modify(self, location: Location, request: Request) -> Reply:
        self._check_access(location)
        (size,) = struct.unpack_from("<H", request.data)
        if location.data_type not in _INTEGERS or size != location.data_type.size_bytes:
            raise CipError(Status.GENERAL_ERROR, Extended.TYPE_MISMATCH)
        masks = self._exactly(request.data[2:], 2 * size)
        old = int.from_bytes(self._bytes(location, size), "little")
        set_mask = int.from_bytes(masks[:size], "little")
        keep_mask = int.from_bytes(masks[size:], "little")
        self._store(location, 0, ((old | set_mask) & keep_mask).to_bytes(size, "little"))
        return Reply()

    def _exactly(self, data: bytes, size: int) -> bytes:
        if len(data) < size:
            raise CipError(Status.NOT_ENOUGH_DATA)
        if self._is_strict and len(data) > size:
            raise CipError(Status.TOO_MUCH_DATA)
        return data[:size]

    def _check_access(self, location: Location) -> None:
        if location.symbol.access is not Access.READ_WRITE:
            raise CipError(Status.PERMISSION_DENIED)

    def _bytes(self, location: Location, size: int) -> bytes:
        data = self._memory.bytes_of(location.symbol)
        if location.bit is not None:
            return bytes((data[location.offset] >> location.bit & 1,))
        return bytes(data[location.offset : location.offset + size])

    def _store(self, location: Location, skip: int, value: bytes) -> None:
        start = location.offset + skip
        if location.bit is not None:
            host = self._memory.bytes_of(location.symbol)[start]
            mask = 1 << location.bit
            value = bytes((host | mask if value[0] else host & ~mask & 0xFF,))
        self.torn_writes.write(location.symbol, start, value)
