"""`activation.json`, the generation before it, `proven.json`, `runtime.json`: what survives a cut.

The agent writes them, the judge reads them once, at boot. The generation before is the way out of a
damaged file: its last-known-good was confirmed as well, and it lacks one change at most.
`proven.json` names the runtime under which the last-known-good model passed golden; without it, or
under another, golden runs again.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import Activation
from taktgate.contracts.codec import ContractError, decode, encode, is_compatible
from taktgate.contracts.runtime import RUNTIME_FILE, RuntimeFacts
from taktgate.edge.file_system import LOCAL, FileSystem
from taktgate.edge.files import publish
from taktgate.inspection.control import Proof
from taktgate.inspection.errors import ActivationFileError

ACTIVATION: Final = "activation.json"
PREVIOUS: Final = "activation.json.prev"
UNREADABLE: Final = "activation.json.unreadable"
PROVEN: Final = "proven.json"
EMPTY: Final = Activation(contract=CONTRACT_VERSION, generation=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recalled:
    """What the disk still knows, and what is wrong with it."""

    activation: Activation
    fault: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivationFiles:
    """The agent's durable memory in *folder*."""

    folder: Path
    files: FileSystem = LOCAL

    def read(self) -> Activation:
        """Return the activation; EMPTY on a station that never had a model.

        Raises:
            ActivationFileError: neither the file nor the generation before can be read.
        """
        try:
            activation = self._load(ACTIVATION)
        except ActivationFileError:
            previous = self._load(PREVIOUS)
            if previous is None:
                raise
            return previous
        if activation is None:
            # Gone, though a second generation was written: lost, and not never there.
            activation = self._load(PREVIOUS)
        return EMPTY if activation is None else activation

    def recall(self) -> Recalled:
        """Return what the agent is to go on from; never raises, since the station must go on."""
        fault: str | None = None
        try:
            if self._load(ACTIVATION) is None and (self.folder / PREVIOUS).exists():
                fault = f"{self.folder / ACTIVATION}: gone"
        except ActivationFileError as error:
            fault = str(error)
        try:
            activation = self.read()
        except ActivationFileError as error:
            forgotten = replace(EMPTY, has_forgotten=True)
            return Recalled(activation=forgotten, fault=f"the models are forgotten: {error}")
        return Recalled(activation=activation, fault=fault)

    def write(self, activation: Activation) -> None:
        """Replace the activation durably, and keep the one before.

        Raises:
            OSError: the disk refused; the old activation still holds.
        """
        try:
            present = self._load(ACTIVATION)
        except ActivationFileError:
            present = None  # the generation before is worth more than what cannot be read
        if present is not None:
            self._publish(self.folder / PREVIOUS, encode(present))
        self._publish(self.folder / ACTIVATION, encode(activation))

    def repair(self, activation: Activation) -> None:
        """Put a damaged file aside and *activation*, if only that all is forgotten, in its place.

        Raises:
            OSError: the disk refused.
        """
        damaged = self.folder / ACTIVATION
        if damaged.exists():
            self._publish(self.folder / UNREADABLE, damaged.read_bytes())
        self._publish(damaged, encode(activation))

    def _publish(self, path: Path, content: bytes) -> None:
        publish(path, content, files=self.files)

    def _load(self, name: str) -> Activation | None:
        path = self.folder / name
        try:
            activation = decode(Activation, path.read_bytes())
        except FileNotFoundError:
            return None
        except OSError as error:
            raise ActivationFileError(f"{path}: {error.strerror}") from error
        except ContractError as error:
            raise ActivationFileError(f"{path}: {error}") from error
        if not is_compatible(activation.contract):
            raise ActivationFileError(f"{path}: contract {activation.contract} is not ours")
        return activation

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
        self._publish(self.folder / PROVEN, encode(proof))

    def write_runtime(self, runtime: RuntimeFacts) -> None:
        """Replace the facts of the runtime durably, unless that is what they say already.

        Raises:
            OSError: the disk refused.
        """
        path, content = self.folder / RUNTIME_FILE, encode(runtime)
        try:
            is_known = path.read_bytes() == content
        except OSError:
            is_known = False
        if not is_known:
            self._publish(path, content)
