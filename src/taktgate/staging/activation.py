"""What inference's `activation.json` means for the stager, which only reads it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taktgate.contracts.activation import Activation, Rollback
from taktgate.contracts.codec import ContractError, decode, is_compatible
from taktgate.contracts.staged import StagedModel
from taktgate.staging.errors import ActivationUnknownError

ACTIVATION_FILE: Final = "activation.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationFile:
    """Inference's record on its own volume."""

    path: Path

    def may_be_in_use(self) -> bool:
        """Tell whether a model may judge parts here: yes, if nobody can say."""
        try:
            activation = self.read()
        except ActivationUnknownError:
            return True
        has_forgotten = activation is not None and activation.has_forgotten
        return has_forgotten or bool(slots_in_use(activation))

    def read(self) -> Activation | None:
        """Return the record, or None on a station where nothing was ever activated.

        Raises:
            ActivationUnknownError: it is there and cannot be read.
        """
        try:
            activation = decode(Activation, self.path.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ContractError) as error:
            raise ActivationUnknownError(f"{ACTIVATION_FILE}: {error}") from error
        if not is_compatible(activation.contract):
            raise ActivationUnknownError(
                f"{ACTIVATION_FILE}: contract {activation.contract} is not ours"
            )
        return activation


def is_trial_running(activation: Activation | None) -> bool:
    """Tell whether a model is on trial: until it has settled, slots and orders stay as they are."""
    return activation is not None and activation.trial is not None


def bar_of(activation: Activation | None, *, digest: str, order: str) -> Rollback | None:
    """Return the rollback that forbids *digest* under *order*; another order is a new try."""
    if activation is None:
        return None
    for rollback in activation.blocked:
        if (rollback.digest, rollback.order) == (digest, order):
            return rollback
    return None


def is_any_barred(activation: Activation | None, order: str) -> bool:
    """Tell whether anything was rolled back under *order*."""
    return activation is not None and any(its.order == order for its in activation.blocked)


def slots_in_use(activation: Activation | None) -> frozenset[str]:
    """Return the slots that the record names: they are not ours to remove."""
    if activation is None:
        return frozenset()
    trial = activation.trial
    held = (
        activation.last_known_good,
        activation.previous_good,
        trial.candidate if trial else None,
    )
    return frozenset(its.slot for its in held if its is not None)


def has_settled(activation: Activation | None, announced: StagedModel | None) -> bool:
    """Tell whether inference is through with *announced*: it will take up no older announcement."""
    return (
        announced is not None
        and activation is not None
        and activation.trial is None
        and activation.settled_order == announced.order
    )
