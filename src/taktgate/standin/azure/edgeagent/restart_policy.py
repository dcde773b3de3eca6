"""When edgeAgent starts a module again: policy, back-off and giving up, without I/O.

Azure/iotedge edge-agent/.../Agent.Core/RestartPolicyManager.cs, planners/HealthRestartPlanner.cs.
"""

from dataclasses import dataclass

from taktgate.standin.azure.edgeagent.manifest import RestartPolicy
from taktgate.standin.azure.edgeagent.module_status import RuntimeStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class BackOff:
    """edgeAgent's restart timing; the defaults are Azure's."""

    base_s: float = 10.0
    """CoolOffTimeUnitInSeconds."""
    cap_s: float = 300.0
    max_restarts: int = 20
    """MaxRestartCount."""
    forgiven_after_s: float = 600.0
    """IntensiveCareTimeInMinutes: a module that ran this long has a clean record."""

    def __post_init__(self) -> None:
        if not 0 <= self.base_s <= self.cap_s:
            raise ValueError(f"base_s must be within 0..cap_s, got {self.base_s}")
        if self.max_restarts < 1:
            raise ValueError(f"max_restarts must be at least 1, got {self.max_restarts}")

    def delay_s(self, restarts: int) -> float:
        """Return the wait before the next start after *restarts* earlier ones."""
        # Large powers would only be cut down again: 2**60 already exceeds every cap.
        return float(min(self.base_s * 2 ** min(restarts, 60), self.cap_s))


def shall_restart(policy: RestartPolicy, exit_code: int) -> bool:
    """Tell whether a module that ended by itself is started again.

    `on-unhealthy` acts as `on-failure`: IoT Edge does not read Docker's health state.
    """
    if policy is RestartPolicy.ALWAYS:
        return True
    return policy is not RestartPolicy.NEVER and exit_code != 0


def status_after_exit(
    policy: RestartPolicy, *, exit_code: int, restarts: int, max_restarts: int
) -> RuntimeStatus:
    """Return what a module is after it ended by itself; BACKOFF means that it will run again."""
    if shall_restart(policy, exit_code):
        return RuntimeStatus.FAILED if restarts >= max_restarts else RuntimeStatus.BACKOFF
    return RuntimeStatus.STOPPED if exit_code == 0 else RuntimeStatus.FAILED
