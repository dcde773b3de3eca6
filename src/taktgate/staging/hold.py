"""When the station says "not now" to a new model, and why. Pure.

A hold keeps new models from being fetched and announced. What is live or on trial goes on, and the
way back is inference's own: it waits for nobody.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, time
from typing import Final, Self

from taktgate.contracts.activation import Activation
from taktgate.contracts.hold import Hold
from taktgate.staging.judge_sight import JudgeSight, JudgeSign
from taktgate.staging.typed import fitted

MAX_TEXT_BYTES: Final = 200
LINE_CALM_S: Final = 10.0
"""So long the line must have stood: a stop that is shorter is no time to begin in, as each attempt
asks the registry first and unpacks from the start. It is the agent that counts: it sees the line
all the time, and the stager does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """A time of day in UTC, from *start* up to *end*; it may go over midnight.

    Equal ends are the whole day.
    """

    start: time
    end: time

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the window "hh:mm-hh:mm".

        Raises:
            ValueError: *text* is none.
        """
        start, _, end = text.partition("-")
        return cls(start=time.fromisoformat(start), end=time.fromisoformat(end))

    def holds(self, moment: time) -> bool:
        """Tell whether *moment* lies within."""
        if self.start < self.end:
            return self.start <= moment < self.end
        return moment >= self.start or moment < self.end

    def __str__(self) -> str:
        """Return it as it is written in station.yaml."""
        return f"{self.start:%H:%M}-{self.end:%H:%M}"


def hold_text(
    *,
    hold: Hold | None,
    activation: Activation | None,
    windows: Sequence[Window],
    now: datetime,
    judge: JudgeSight | None = None,
) -> str | None:
    """Return why new models have to wait, None when they need not.

    Args:
        hold: what an operator of the station has asked for.
        activation: inference's record; while a trial runs, slots and orders stay as they are.
        windows: when new models may come; none: always.
        now: wall-clock time in UTC. A wrong clock moves the windows and can do no more: it delays.
        judge: what is seen of it, where new models wait while the line runs; None: they do not.
    """
    text: str | None = None
    if hold is not None:
        text = f"{hold.by}: {hold.reason}"
    elif activation is not None and activation.trial is not None:
        model = activation.trial.candidate.model
        text = f"the trial of {model.name} {model.version} runs"
    elif windows and not any(window.holds(now.time()) for window in windows):
        text = f"outside {', '.join(map(str, windows))} UTC"
    elif judge is not None:
        text = line_text(judge)
    return None if text is None else fitted(text, MAX_TEXT_BYTES)


def line_text(judge: JudgeSight) -> str | None:
    """Return why new models have to wait for the line: in doubt, it runs. None: they need not.

    The text stays the same while a line starts and stops for moments: that is no news.
    """
    if judge.sign is JudgeSign.ABSENT:
        return None
    if judge.sign is JudgeSign.SILENT:
        return "a model judges, and inference is not heard of: the line may run"
    if judge.line_stands_s is None:
        return "inference does not say whether the line runs"
    if judge.line_stands_s < LINE_CALM_S:
        return f"the line runs, or has stood for less than {LINE_CALM_S:g} s"
    return None
