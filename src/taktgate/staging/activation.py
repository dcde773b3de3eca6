"""What inference's `activation.json` means for the stager, which only reads it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taktgate.contracts.activation import Activation, Refusal, Rollback
from taktgate.contracts.codec import ContractError, decode, is_compatible
from taktgate.contracts.staged import StagedModel
from taktgate.contracts.twins import StagingPhase
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


def standing(activation: Activation | None, announced: StagedModel) -> StagingPhase:
    """Return where inference has what was *announced*: STAGED, TRIAL, CONFIRMED or BLOCKED.

    It alone marks a model good. What judged well before and is ordered again is CONFIRMED at once.
    """
    digest, order = announced.model.digest, announced.order
    if activation is None:
        return StagingPhase.STAGED
    if _is_on_trial(activation, digest, order):
        return StagingPhase.TRIAL
    if _is_good(activation, digest) and activation.settled_order == order:
        return StagingPhase.CONFIRMED
    if bar_of(activation, digest=digest, order=order) is not None:
        return StagingPhase.BLOCKED
    return StagingPhase.STAGED


def bar_of(activation: Activation | None, *, digest: str, order: str) -> Rollback | None:
    """Return the rollback that forbids *digest* under *order*, by the rule that inference has.

    It is barred under the order of a rollback and under all that were settled since; an order that
    was not seen since is a new try. What is last-known-good and may judge is barred by nothing.
    """
    if activation is None or _is_good(activation, digest):
        return None
    rollbacks = [each for each in activation.blocked if each.digest == digest]
    for rollback in rollbacks:
        if rollback.order == order:
            return rollback
    is_seen = order in {activation.settled_order, *activation.orders_since}
    return rollbacks[-1] if rollbacks and is_seen else None


def refusal_of(activation: Activation | None, announced: StagedModel) -> Refusal | None:
    """Return how inference refused this very announcement, None when it did not."""
    refused = None if activation is None else activation.refused
    return refused if refused is not None and refused.is_of(announced) else None


def _is_on_trial(activation: Activation, digest: str, order: str) -> bool:
    trial = activation.trial
    return trial is not None and (
        (trial.candidate.model.digest, trial.candidate.order) == (digest, order)
    )


def _is_good(activation: Activation, digest: str) -> bool:
    good = activation.last_known_good
    return good is not None and good.model.digest == digest and activation.halt is None


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
