"""Whose `VIS01_Sts` is: a controller has one writer, also when two hosts believe to be that one.

The lock of the role holds on one host only, so the controller's own tag decides. BootId 0 is
nobody's: a tag that no writer has written to since a download.
"""

from typing import Final

from taktgate.edge.clock import MILLISECOND
from taktgate.plc.contract.records import StatusEcho
from taktgate.plc.errors import ForeignWriterError

PROOF_OF_LIFE_NS: Final = 300 * MILLISECOND
"""A writer that lives moves its heartbeat each 100 ms."""


class Ownership:
    """Looks before the first write, and again after it, for as long as this process lives."""

    def __init__(self, boot_id: int) -> None:
        self._boot_id = boot_id
        self._has_written = False
        self._found: StatusEcho | None = None
        """Of another, watched since `_since_ns` for a sign of life."""
        self._since_ns = 0
        self.may_write = False

    def session_opened(self) -> None:
        """Look again: somebody else may have come while we were away."""
        self.may_write = False
        self._found = None

    def wrote(self) -> None:
        """Take note that the controller confirmed a write of ours."""
        self._has_written = True

    def observe(self, echo: StatusEcho, now_ns: int) -> None:
        """Take note of what the tag holds.

        Raises:
            ForeignWriterError: another writer has overwritten us, or lives.
        """
        if echo.boot_id in (self._boot_id, 0):
            self.may_write, self._found = True, None
            return
        if self._has_written:
            raise ForeignWriterError(self._boot_id, echo.boot_id)
        found = self._found
        if found is None:
            self._found, self._since_ns, self.may_write = echo, now_ns, False
        elif (echo.boot_id, echo.heartbeat) != (found.boot_id, found.heartbeat):
            raise ForeignWriterError(self._boot_id, echo.boot_id)
        else:
            self.may_write = now_ns - self._since_ns >= PROOF_OF_LIFE_NS
