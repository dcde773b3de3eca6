"""`activation.json` and `proven.json`: what survives a power cut.

The agent writes both, the judge reads them once, at boot. `proven.json` names the runtime under
which the last-known-good model passed golden; without it, or under another, golden runs again.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import Activation
from taktgate.contracts.codec import ContractError, decode, encode, is_compatible
from taktgate.edge.files import publish
from taktgate.inspection.control import Proof
from taktgate.inspection.errors import ActivationFileError

ACTIVATION: Final = "activation.json"
PROVEN: Final = "proven.json"
EMPTY: Final = Activation(contract=CONTRACT_VERSION, generation=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationFiles:
    """The agent's durable memory in *folder*."""

    folder: Path

    def read(self) -> Activation:
        """Return the activation; EMPTY on a station that never had a model.

        Raises:
            ActivationFileError: the file is there but cannot be read.
        """
        path = self.folder / ACTIVATION
        try:
            activation = decode(Activation, path.read_bytes())
        except FileNotFoundError:
            return EMPTY
        except OSError as error:
            raise ActivationFileError(f"{path}: {error.strerror}") from error
        except ContractError as error:
            raise ActivationFileError(f"{path}: {error}") from error
        if not is_compatible(activation.contract):
            raise ActivationFileError(f"{path}: contract {activation.contract} is not ours")
        return activation

    def write(self, activation: Activation) -> None:
        """Replace the activation durably.

        Raises:
            OSError: the disk refused; the old activation still holds.
        """
        publish(self.folder / ACTIVATION, encode(activation))

    def read_proof(self) -> Proof | None:
        """Return what was proven, None when nothing readable says so: golden then runs again."""
        try:
            return decode(Proof, (self.folder / PROVEN).read_bytes())
        except (OSError, ContractError):
            return None

    def write_proof(self, proof: Proof) -> None:
        """Replace the proof durably.

        Raises:
            OSError: the disk refused.
        """
        publish(self.folder / PROVEN, encode(proof))
