"""Who starts a process, and what can be done with one: a runner, a camera."""

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """A module of ours. Its first argument is the descriptor of its socket."""

    module: str
    arguments: tuple[str, ...] = ()
    """What follows the descriptor."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment beyond what is inherited."""


class Child(Protocol):
    """A process that was asked for. Every call but `wait` returns at once."""

    @property
    def pid(self) -> int | None:
        """Return the process id, None while it is not known."""
        ...

    @property
    def failure(self) -> str:
        """Return why it could not be started, "" unless it is known that it could not."""
        ...

    def kill(self) -> None:
        """End the process, now or as soon as it is there; never another one."""
        ...

    def is_gone(self) -> bool:
        """Return True once the process has ended; ask until then, or a descriptor stays open."""
        ...

    def wait(self, limit_s: float) -> bool:
        """Wait for its end; return False when it takes longer."""
        ...


class Starter(Protocol):
    """Starts processes, which die with it."""

    def start(self, program: Program, theirs: socket.socket) -> Child:
        """Start *program* and hand it *theirs*, which the caller closes after the call.

        The caller may write to the other end at once.

        Raises:
            OSError: no process is to be had now.
        """
        ...

    def fileno(self) -> int:
        """Return the descriptor to wait on, -1 while there is none."""
        ...

    def advance(self, now_ns: int) -> None:
        """Take in what has become of the processes that were asked for."""
        ...

    def counters(self) -> dict[str, int]:
        """Return how often what happened."""
        ...

    def close(self) -> None:
        """Let go; what still runs dies with the starter."""
        ...
