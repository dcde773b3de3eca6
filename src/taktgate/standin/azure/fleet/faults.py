"""What goes wrong on light devices: by model version, by share of the devices, by name."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from taktgate.standin.azure.fleet.pace import chance


class FaultKind(StrEnum):
    """How an order fails."""

    NOT_FOUND = "not-found"
    """The stager finds no such bundle: phase `failed`."""
    REFUSED = "refused"
    """Inference's golden images refuse the model."""
    ROLLED_BACK = "rolled-back"
    """The model rejects too many parts in its trial: the station goes back by itself."""
    SILENT = "silent"
    """The stager never takes the order up, as if the station hung."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One rule; the first that fits a device and a version counts."""

    kind: FaultKind
    version: str | None = None
    """The model version that it hits; None for any."""
    share: float = 1.0
    """The share of the devices that it hits."""
    devices: frozenset[str] | None = None
    """The devices that it may hit; None for any."""
    after_parts: int = 20
    """Parts of the trial until the model is sent back."""

    def __post_init__(self) -> None:
        """Refuse what cannot happen.

        Raises:
            ValueError: The share is no share, or the parts are none.
        """
        if not 0.0 <= self.share <= 1.0:
            raise ValueError(f"share must be within 0..1, got {self.share}")
        if self.after_parts < 1:
            raise ValueError(f"after_parts must be at least 1, got {self.after_parts}")


class Faults:
    """The rules of one fleet; they may change while it runs."""

    def __init__(self, rules: Iterable[Fault] = (), *, seed: int = 0) -> None:
        self.rules = tuple(rules)
        self._seed = seed

    def of(self, device: str, version: str) -> Fault | None:
        """Return what goes wrong with *version* on *device*."""
        return next((rule for rule in self.rules if self._hits(rule, device, version)), None)

    def _hits(self, rule: Fault, device: str, version: str) -> bool:
        is_meant = rule.version in (None, version) and (
            rule.devices is None or device in rule.devices
        )
        return is_meant and chance(self._seed, rule.kind, version, device) < rule.share
