"""Whether a live candidate's runner stays up: what cannot run yields no verdict to watch."""

from collections.abc import Callable
from typing import Final

from taktgate.edge.clock import SECOND
from taktgate.inspection.control import LoadedModel, RunnerState

MAX_DOWN_NS: Final = 5 * SECOND
MAX_DEATHS: Final = 3


class Endurance:
    """Follows the runner of the model on trial from status to status."""

    def __init__(self, clock: Callable[[], int]) -> None:
        self._clock = clock
        self._up_ns = clock()

    def restart(self) -> None:
        """Begin with a candidate that has just become live."""
        self._up_ns = self._clock()

    def given_out(self, held: LoadedModel | None) -> str | None:
        """Return why the model must go back; None while its runner may still be relied on."""
        now_ns = self._clock()
        if held is not None and held.state is RunnerState.REFUSED:
            why = "" if held.refused is None else f": {held.refused.reason}"
            return f"refused while it was live{why}"
        if held is not None and held.deaths > MAX_DEATHS:
            return f"its runner died {held.deaths} times"
        if held is not None and held.state is RunnerState.READY:
            self._up_ns = now_ns
        elif now_ns - self._up_ns > MAX_DOWN_NS:
            return f"its runner has not been ready for {MAX_DOWN_NS // SECOND} s"
        return None
