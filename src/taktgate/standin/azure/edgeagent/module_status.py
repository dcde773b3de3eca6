"""The states of a module, as `runtimeStatus` names them, and what leads from one to another."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class RuntimeStatus(StrEnum):
    """What a module does now."""

    UNKNOWN = "unknown"
    """Nobody looks: edgeAgent does not run."""
    STOPPED = "stopped"
    """Not started yet, stopped by edgeAgent, or ended by itself with exit code 0."""
    RUNNING = "running"
    BACKOFF = "backoff"
    """It ended and will be started again."""
    FAILED = "failed"
    """It ended and will not be started again."""


class Turn(StrEnum):
    """What can happen to a module."""

    STARTED = "started"
    ENDED = "ended"
    BROKE_DOWN = "broke down"
    WILL_RETRY = "will retry"
    STOPPED_BY_AGENT = "stopped by edgeAgent"


class IllegalTurnError(RuntimeError):
    """A turn that cannot happen in this state: a bug of edgeAgent."""


_S, _T = RuntimeStatus, Turn
TRANSITIONS: Mapping[tuple[RuntimeStatus, Turn], RuntimeStatus] = MappingProxyType(
    {
        (_S.STOPPED, _T.STARTED): _S.RUNNING,
        (_S.BACKOFF, _T.STARTED): _S.RUNNING,
        (_S.FAILED, _T.STARTED): _S.RUNNING,
        (_S.RUNNING, _T.ENDED): _S.STOPPED,
        (_S.RUNNING, _T.BROKE_DOWN): _S.FAILED,
        (_S.RUNNING, _T.WILL_RETRY): _S.BACKOFF,
        # A program that could not even be started has ended without having run.
        (_S.STOPPED, _T.BROKE_DOWN): _S.FAILED,
        (_S.STOPPED, _T.WILL_RETRY): _S.BACKOFF,
        (_S.BACKOFF, _T.BROKE_DOWN): _S.FAILED,
        (_S.BACKOFF, _T.WILL_RETRY): _S.BACKOFF,
        (_S.FAILED, _T.BROKE_DOWN): _S.FAILED,
        (_S.FAILED, _T.WILL_RETRY): _S.BACKOFF,
        (_S.STOPPED, _T.STOPPED_BY_AGENT): _S.STOPPED,
        (_S.RUNNING, _T.STOPPED_BY_AGENT): _S.STOPPED,
        (_S.BACKOFF, _T.STOPPED_BY_AGENT): _S.STOPPED,
        (_S.FAILED, _T.STOPPED_BY_AGENT): _S.STOPPED,
    }
)

TURN_AFTER_EXIT: Mapping[RuntimeStatus, Turn] = MappingProxyType(
    {
        _S.STOPPED: _T.ENDED,
        _S.FAILED: _T.BROKE_DOWN,
        _S.BACKOFF: _T.WILL_RETRY,
    }
)


def advance(status: RuntimeStatus, turn: Turn) -> RuntimeStatus:
    """Return the state that *turn* leads to.

    Raises:
        IllegalTurnError: It cannot happen in *status*.
    """
    try:
        return TRANSITIONS[status, turn]
    except KeyError:
        raise IllegalTurnError(f"{turn} while {status}") from None
