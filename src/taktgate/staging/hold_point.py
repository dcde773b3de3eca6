"""Where an order may be held: what the station says about it right now."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.codec import ContractError, decode, is_compatible
from taktgate.contracts.hold import HOLD_FILE, Hold
from taktgate.staging.activation import ActivationFile
from taktgate.staging.errors import HeldError
from taktgate.staging.hold import Window, hold_text
from taktgate.staging.judge_sight import JudgeSight


def utc_now() -> datetime:
    """Return the wall clock's time."""
    return datetime.now(UTC)


class HoldPoint:
    """Asks the operator's file, inference's record, the clock and the line, in this order."""

    def __init__(
        self,
        state: Path,
        *,
        activation: ActivationFile,
        windows: Sequence[str],
        wall: Callable[[], datetime] = utc_now,
        judge: Callable[[], JudgeSight] | None = None,
    ) -> None:
        """Look for `hold.json` in the folder *state*, which is inference's.

        With *judge*, which shows it, new models wait while the line runs.
        """
        self._path = state / HOLD_FILE
        self._activation = activation
        self._windows = tuple(map(Window.parse, windows))
        self._wall = wall
        self._judge = judge

    def text(self) -> str | None:
        """Return why new models have to wait, None when they need not.

        Raises:
            ActivationUnknownError: inference's record cannot be read.
        """
        return hold_text(
            hold=read_hold(self._path),
            activation=self._activation.read(),
            windows=self._windows,
            now=self._wall(),
            judge=None if self._judge is None else self._judge(),
        )

    def require_free(self) -> None:
        """Let an order pass.

        Raises:
            HeldError: not now.
            ActivationUnknownError: inference's record cannot be read.
        """
        text = self.text()
        if text is not None:
            raise HeldError(text)


_UNREADABLE: Final = Hold(
    contract=CONTRACT_VERSION, by="inference", reason=f"{HOLD_FILE} cannot be read", at=""
)


def read_hold(path: Path) -> Hold | None:
    """Return the hold in *path*, None without one. What cannot be read holds: in doubt, not now."""
    try:
        hold = decode(Hold, path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ContractError):
        return _UNREADABLE
    return hold if is_compatible(hold.contract) else _UNREADABLE
