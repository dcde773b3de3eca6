"""The conveyor: parts as positions in encoder pulses, from the trigger's eye to the reject gate.

```
 trigger eye                                  gate eye                flap
 0 ─────────── part ──── part ─────────────── gate_delay_ms ───────── + flap_ms ──►
```
The belt has its own drive: it goes on whatever the controller does. At the gate's eye the program
decides; the flap takes *gate_move_ms* to move and stands that far behind the eye that a decision
still counts when it comes up to `reach_ms` late. The flap opens for the one part that a decision
was made for and closes by itself behind it, so an output that stands still lets nothing else pass.
Its rest state is reject.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

PULSES_PER_MS: Final = 2
"""Encoder: 4 pulses per millimetre of a belt that runs 0.5 m/s."""
_MILLISECOND: Final = 1_000_000
_BEHIND_MS: Final = 250
"""How long a part is still shown behind the flap."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BeltSettings:
    """Distances, in time of the belt, and the speed of the flap."""

    gate_delay_ms: int
    flap_ms: int = 500
    gate_move_ms: int = 30

    def __post_init__(self) -> None:
        rules = {
            "flap_ms must be 20..10000": 20 <= self.flap_ms <= 10_000,
            "gate_move_ms must be 0..flap_ms - 20": 0 <= self.gate_move_ms <= self.flap_ms - 20,
        }
        for rule, holds in rules.items():
            if not holds:
                raise ValueError(rule)

    @property
    def reach_ms(self) -> int:
        """Return how late after the gate's eye a decision still moves the flap in time."""
        return self.flap_ms - self.gate_move_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class BeltPart:
    """A part on the belt. *is_accepted* is None until its gate decision."""

    trigger_id: int
    entered_ns: int
    is_accepted: bool | None = None
    decided_ns: int = 0


class Conveyor:
    """Parts in order. Time is the caller's."""

    def __init__(self, settings: BeltSettings) -> None:
        self._settings = settings
        self._eye_ns = settings.gate_delay_ms * _MILLISECOND
        self._reach_ns = settings.reach_ms * _MILLISECOND
        self._flap_ns = self._eye_ns + settings.flap_ms * _MILLISECOND
        self._coming: deque[BeltPart] = deque()
        self._sorted: deque[BeltPart] = deque()

    def enter(self, trigger_id: int, now_ns: int) -> None:
        """Put a part under the trigger's eye."""
        self._coming.append(BeltPart(trigger_id=trigger_id, entered_ns=now_ns))

    def at_gate(self, now_ns: int) -> tuple[int, ...]:
        """Return the part for which the gate's eye asks for a decision now: one in each scan.

        Two are returned only if they lie at the very same place, as parts of a model may.
        """
        waiting = [part for part in self._coming if not self._is_out_of_reach(part, now_ns)]
        if not waiting or now_ns - waiting[0].entered_ns < self._eye_ns:
            return ()
        return tuple(
            part.trigger_id for part in waiting if part.entered_ns == waiting[0].entered_ns
        )

    def out_of_reach(self, now_ns: int) -> tuple[int, ...]:
        """Return the parts for which a decision would come too late: they meet a flap at rest."""
        return tuple(
            part.trigger_id for part in self._coming if self._is_out_of_reach(part, now_ns)
        )

    def _is_out_of_reach(self, part: BeltPart, now_ns: int) -> bool:
        return now_ns - part.entered_ns > self._eye_ns + self._reach_ns

    def sort(self, trigger_id: int, now_ns: int, *, is_accepted: bool) -> None:
        """Decide for the part that is first in line."""
        part = self._coming.popleft()
        assert part.trigger_id == trigger_id, "parts keep their order on a belt"
        self._sorted.append(
            BeltPart(
                trigger_id=trigger_id,
                entered_ns=part.entered_ns,
                is_accepted=is_accepted,
                decided_ns=now_ns,
            )
        )
        self._forget_gone(now_ns)

    def numbers(self) -> list[int]:
        """Return the numbers of all parts on the belt, oldest first."""
        return [part.trigger_id for part in (*self._sorted, *self._coming)]

    def picture(self, now_ns: int) -> dict[str, Any]:
        """Return where the parts, the gate's eye and the flap are, in pulses, for JSON."""
        self._forget_gone(now_ns)
        parts = [*self._sorted, *self._coming]
        opened = next(self._open_for(now_ns), None)
        return {
            "parts_on_belt": [
                {
                    "trigger_id": part.trigger_id,
                    "position": _pulses(now_ns - part.entered_ns),
                    "state": _STATES[part.is_accepted],
                }
                for part in parts
            ],
            "flap": {
                "is_open": opened is not None,
                "for_part": opened,
                "eye_at": _pulses(self._eye_ns),
                "flap_at": _pulses(self._flap_ns),
            },
        }

    def _open_for(self, now_ns: int) -> Iterator[int]:
        move_ns = self._settings.gate_move_ms * _MILLISECOND
        for part in self._sorted:
            is_through = now_ns - part.entered_ns > self._flap_ns
            if part.is_accepted and now_ns - part.decided_ns >= move_ns and not is_through:
                yield part.trigger_id

    def _forget_gone(self, now_ns: int) -> None:
        gone_ns = self._flap_ns + _BEHIND_MS * _MILLISECOND
        while self._sorted and now_ns - self._sorted[0].entered_ns > gone_ns:
            self._sorted.popleft()


_STATES: Final = {None: "waiting", True: "accepted", False: "rejected"}


def _pulses(time_ns: int) -> int:
    return time_ns * PULSES_PER_MS // _MILLISECOND
