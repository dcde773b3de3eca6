"""A controller on TCP with the one rung that a writer needs to be ready."""

import threading

from taktgate.plc.contract.encoding import unpack
from taktgate.plc.contract.tags import COMMAND_TAG, STATUS, STATUS_TAG, TAGS, Tag
from taktgate.standin.logix.memory import TagMemory, symbols_of
from taktgate.standin.logix.thread import LogixThread

_SCAN_S = 0.02


class LadderController:
    """Tags, server and the one rung that the writer needs: PlcHeartbeat moves."""

    def __init__(self, tags: tuple[Tag, ...] = TAGS) -> None:
        self.memory = TagMemory(symbols_of(tags))
        self.server = LogixThread(self.memory)
        self.is_scanning = True
        self._is_over = threading.Event()
        self._ladder = threading.Thread(target=self._scan, name="ladder", daemon=True)

    @property
    def address(self) -> str:
        """Return `host:port`."""
        return self.server.address

    def __enter__(self) -> "LadderController":
        self.memory.store(COMMAND_TAG.name, "DeadlineMs", 200)
        self.memory.store(COMMAND_TAG.name, "Enable", True)
        self.server.__enter__()
        self._ladder.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over.set()
        self._ladder.join()
        self.server.__exit__(None, None, None)

    def status(self) -> dict[str, int | float | bool]:
        """Return what `VIS01_Sts` holds."""
        return unpack(STATUS, self.memory.element(STATUS_TAG.name))

    def _scan(self) -> None:
        beats = 0
        while not self._is_over.wait(_SCAN_S):
            if self.is_scanning:
                beats += 1
                self.memory.store(COMMAND_TAG.name, "PlcHeartbeat", beats)
