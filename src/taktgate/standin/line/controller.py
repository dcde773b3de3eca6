"""The controller around its program: keyswitch, power, downloads, a task that is stuck."""

import time
from collections.abc import Callable
from typing import Final

from taktgate.plc.contract.tags import TAGS
from taktgate.standin.line.standstill import Keyswitch, RunState, Standstill
from taktgate.standin.logix.downloads import Change, Download
from taktgate.standin.logix.identity import Mode
from taktgate.standin.logix.memory import TagMemory
from taktgate.standin.logix.server import LogixServer

_MODES: Final = {
    Keyswitch.RUN: Mode.RUN,
    Keyswitch.REMOTE_RUN: Mode.REMOTE_RUN,
    Keyswitch.PROGRAM: Mode.PROGRAM,
    Keyswitch.REMOTE_PROGRAM: Mode.REMOTE_PROGRAM,
}
Later = Callable[[float, Callable[[], None]], object]
"""Calls a function after some seconds, as `call_later` of an event loop does."""


class Controller:
    """What an engineer or a power cut does to a controller, and what follows for its program."""

    def __init__(
        self,
        server: LogixServer,
        memory: TagMemory,
        run_state: RunState,
        *,
        later: Later,
        clock: Callable[[], int] = time.monotonic_ns,
    ) -> None:
        self._server = server
        self._memory = memory
        self._project = memory.symbols
        self._run_state = run_state
        self._later = later
        self._clock = clock
        self.keyswitch = Keyswitch.REMOTE_RUN
        self._outages = 0
        self._downloads = 0

    def turn(self, keyswitch: Keyswitch) -> None:
        """Turn the keyswitch. Clients are served on in every position."""
        self.keyswitch = keyswitch
        self._server.set_mode(_MODES[keyswitch])
        act = self._run_state.lift if keyswitch.is_run else self._run_state.hold
        act(Standstill.PROGRAM_MODE, self._clock())

    def freeze_logic(self, *, is_on: bool) -> None:
        """Stop the task where it is, or let it go on."""
        act = self._run_state.hold if is_on else self._run_state.lift
        act(Standstill.LOGIC_FROZEN, self._clock())

    def cut_power(self, off_ms: float) -> None:
        """Lose every connection; after *off_ms* be back with the tags as they were."""
        self._outages += 1
        self._run_state.hold(Standstill.POWER_OFF, self._clock())
        self._server.power_off()
        self._later(off_ms / 1000, self._power_up)

    def download(self, download: Download | None, *, off_ms: float) -> None:
        """Load a project: the one with the contract's tags, or what *download* makes of the tags.

        Raises:
            DownloadError: the change cannot be made; nothing has changed.
        """
        self._server.download(download or Download(change=Change.NONE))
        if download is None:
            self._memory.install(self._project)
        self._downloads += 1
        self._run_state.hold(Standstill.DOWNLOAD, self._clock())
        self._later(off_ms / 1000, self._project_loaded)

    def _power_up(self) -> None:
        self._outages -= 1
        if self._outages == 0:
            self._server.power_on()
            self._run_state.lift(Standstill.POWER_OFF, self._clock())

    def _project_loaded(self) -> None:
        now_ns = self._clock()
        self._downloads -= 1
        if self._downloads:
            return
        act = self._run_state.lift if self._memory.fits(TAGS) else self._run_state.hold
        act(Standstill.NOT_VERIFIED, now_ns)
        self._run_state.lift(Standstill.DOWNLOAD, now_ns)
