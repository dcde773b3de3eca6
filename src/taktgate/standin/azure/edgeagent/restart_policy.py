"""When edgeAgent starts a module again: policy, back-off and giving up, without I/O."""

from dataclasses import dataclass

from taktgate.standin.azure.edgeagent.manifest import RestartPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class BackOff:
    """edgeAgent's restart timing; the defaults are Azure's."""

    base_s: float = 10.0
    cap_s: float = 300.0
    max_restarts: int = 20
    forgiven_after_s: float = 600.0
    """A module that ran this long starts with a clean record."""

    def __post_init__(self) -> None:
        if not 0 < self.base_s <= self.cap_s:
            raise ValueError(f"base_s must be within 0..cap_s, got {self.base_s}")

    def delay_s(self, restarts: int) -> float:
        """Return the wait before the next start after *restarts* earlier ones."""
        return float(min(self.base_s * 2**restarts, self.cap_s))


def shall_restart(policy: RestartPolicy, exit_code: int) -> bool:
    """Tell whether a module that ended by itself is started again.

    `on-unhealthy` acts as `on-failure`: IoT Edge does not read Docker's health state.
    """
    if policy is RestartPolicy.ALWAYS:
        return True
    return policy is not RestartPolicy.NEVER and exit_code != 0
