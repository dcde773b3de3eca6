"""What the stager sees of the judge: `pulse.json` and `activation.json`, both of inference."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taktgate.contracts.codec import ContractError, decode, is_compatible
from taktgate.contracts.pulse import JudgePulse
from taktgate.edge.clock import SECOND, kernel_boot_id, monotonic_ns
from taktgate.staging.judge_sight import JudgeSight, JudgeSign

FRESH_NS: Final = 5 * SECOND


@dataclass(frozen=True, slots=True, kw_only=True)
class PulseFile:
    """The judge's pulse in the file *path*.

    Attributes:
        path: On inference's volume.
        may_judge: Tells whether a model may judge parts here: an agent speaks without one, too.
    """

    path: Path
    may_judge: Callable[[], bool]
    clock: Callable[[], int] = monotonic_ns
    boot_id: Callable[[], str] = kernel_boot_id

    def look(self) -> JudgeSight:
        """Return how the judge is doing, as far as anybody says."""
        pulse = self._read()
        if pulse is None or not self._is_fresh(pulse):
            return JudgeSight(sign=JudgeSign.SILENT if self.may_judge() else JudgeSign.ABSENT)
        return JudgeSight(
            sign=JudgeSign.HEARD if self.may_judge() else JudgeSign.ABSENT,
            late=pulse.late,
            share=pulse.slowest_ms / pulse.budget_ms if pulse.budget_ms > 0.0 else 0.0,
            line_stands_s=pulse.line_stands_s,
        )

    def _read(self) -> JudgePulse | None:
        try:
            pulse = decode(JudgePulse, self.path.read_bytes())
        except (OSError, ContractError):
            return None  # none yet, or of an inference that we do not understand
        return pulse if is_compatible(pulse.contract) else None

    def _is_fresh(self, pulse: JudgePulse) -> bool:
        age_ns = self.clock() - pulse.at_ns
        return pulse.boot_id == self.boot_id() and 0 <= age_ns <= FRESH_NS
