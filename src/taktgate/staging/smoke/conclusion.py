"""From the end of the smoke test's process to what it means. Pure."""

import signal
from typing import Final

from taktgate.staging.errors import SandboxError, SmokeError
from taktgate.staging.smoke.answer import Answer, Passed, Refused, Unable
from taktgate.staging.smoke.watch import End

_MEANING: Final = {
    signal.SIGKILL: "the kernel ended it: more memory than this device has left",
    signal.SIGXCPU: "it used up its processor time and did not end",
}


def conclude(answer: Answer, end: End, *, limit_s: float) -> Passed:
    """Return the figures of a model that passed.

    Raises:
        SmokeError: the model is at fault, or nobody can tell that it is not.
        SandboxError: the fault is on our side.
    """
    if isinstance(answer.ending, Unable):
        raise SandboxError(answer.ending.message)
    if answer.begun is None:
        raise SandboxError(f"it ended before it turned to the model: {_how(end, limit_s)}")
    if isinstance(answer.ending, Refused):
        raise SmokeError(f"{answer.ending.finding}: {answer.ending.message}")
    if end.is_late and end.was_starved:
        raise SandboxError(f"it was kept off the processors for most of its {limit_s:g} s")
    if end.is_late:
        raise SmokeError(f"TIMEOUT: it has not ended within {limit_s:g} s")
    if end.is_overlong or answer.rubbish:
        raise SmokeError(f"ANSWER: its process said what is no answer: {answer.rubbish}")
    if answer.ending is None or end.status != 0:
        raise SmokeError(f"CRASH: its process ended without an answer: {_how(end, limit_s)}")
    return answer.ending


def _how(end: End, limit_s: float) -> str:
    if end.is_late:
        return f"its {limit_s:g} s were over"
    if end.status >= 0:
        return f"exit code {end.status}"
    number = signal.Signals(-end.status)
    return f"{number.name}: {_MEANING.get(number, 'native code failed')}"
