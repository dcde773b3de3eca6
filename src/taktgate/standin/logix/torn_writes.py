"""Torn writes: a result slot that the program may see half written."""

from collections import deque
from collections.abc import Callable
from typing import Final

from taktgate.plc.contract.tags import RESULT_TAG
from taktgate.standin.logix.memory import TagMemory
from taktgate.standin.logix.tag_table import Symbol

Later = Callable[[float, Callable[[], None]], object]
"""Calls a function after so many seconds, on the thread that everything happens on."""

_WORD_BYTES: Final = 4
"""A controller never tears a DINT."""


class TornWrites:
    """Puts the second half of a write into the memory later than the first.

    To clients it is as if the write had taken effect at once: a half that is still to come lands
    before the next access of any client to the same tag. Over a download it is lost.
    """

    def __init__(self, memory: TagMemory) -> None:
        self._memory = memory
        self._waiting: deque[Callable[[], None]] = deque()
        self._later: Later | None = None
        self._torn_s = 0.0

    def arrange(self, torn_s: float, later: Later) -> None:
        """Tear from now on, by *torn_s*; 0 stops it."""
        self._later = later if torn_s else None
        self._torn_s = torn_s

    def write(self, symbol: Symbol, offset: int, value: bytes) -> None:
        """Put *value* into a tag; into a result slot in two halves, if so arranged."""
        half = len(value) // 2 // _WORD_BYTES * _WORD_BYTES
        if self._later is None or symbol.name != RESULT_TAG.name or not half:
            self._memory.write(symbol, offset, value)
            return
        origin, table = self._memory.log.origin, self._memory.table
        self._memory.write(symbol, offset, value[:half])

        def land() -> None:
            if self._memory.table is table:
                self._memory.write(symbol, offset + half, value[half:], origin=origin)

        self._waiting.append(land)
        self._later(self._torn_s, lambda: self._settle_until(land))

    def before_access(self, symbol: Symbol) -> None:
        """Make *symbol* whole for a client that is about to read or write it."""
        if self._waiting and symbol.name == RESULT_TAG.name:
            self.settle()

    def settle(self) -> None:
        """Let every half that is still to come land now."""
        while self._waiting:
            self._waiting.popleft()()

    def _settle_until(self, last: Callable[[], None]) -> None:
        while last in self._waiting:
            self._waiting.popleft()()
