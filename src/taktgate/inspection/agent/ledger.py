"""The agent's durable memory of models: as it is on disk, never ahead of it."""

import logging
from typing import Final, Protocol

from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.activation import Activation
from taktgate.contracts.runtime import RuntimeFacts
from taktgate.contracts.twins import TypedError
from taktgate.inspection.agent.faults import Faults, Source
from taktgate.inspection.control import LoadedModel, Proof
from taktgate.inspection.runner.fingerprint import runtime_in

log = logging.getLogger(__name__)

STATE_WRITE: Final = "STATE_WRITE"


class Memory(Protocol):
    """What survives a power cut."""

    def write(self, activation: Activation) -> None:
        """Replace the activation durably.

        Raises:
            OSError: the disk refused.
        """
        ...

    def write_proof(self, proof: Proof) -> None:
        """Replace the proof durably.

        Raises:
            OSError: the disk refused.
        """
        ...

    def write_runtime(self, runtime: RuntimeFacts) -> None:
        """Make the facts of the runtime durable, unless they are.

        Raises:
            OSError: the disk refused.
        """
        ...


class Ledger:
    """The activation as it is on disk: never ahead of it, never behind."""

    def __init__(self, activation: Activation, memory: Memory, faults: Faults) -> None:
        self.activation = activation
        self._faults = faults
        self._memory = memory
        self._proof: Proof | None = None
        self._runtime: RuntimeFacts | None = None

    def save(self, activation: Activation) -> bool:
        """Make *activation* durable, then true. False: the disk refused and nothing has changed."""
        try:
            self._memory.write(activation)
        except OSError as error:
            fault = TypedError(reason=STATE_WRITE, message=str(error)[:500])
            if fault != self._faults.get(Source.STATE):
                log.error("activation.json cannot be written", extra={"error": str(error)})
            self._faults.put(Source.STATE, fault)
            return False
        self.activation = activation
        self._faults.clear(Source.STATE)
        return True

    def prove(self, held: LoadedModel | None) -> None:
        """Note under which runtime last-known-good, if *held* is that, has passed golden."""
        good = self.activation.last_known_good
        if held is None or held.ready is None or good is None or held.digest != good.model.digest:
            return
        proof = Proof(digest=held.digest, fingerprint=held.ready.fingerprint)
        if proof == self._proof:
            return
        try:
            self._memory.write_proof(proof)
        except OSError as error:
            log.warning("proof not saved, golden runs at each boot", extra={"error": str(error)})
            return
        self._proof = proof

    def note_runtime(self, held: LoadedModel | None) -> None:
        """Note for the stager what *held*, which judges, really runs with."""
        if held is None or held.ready is None:
            return
        ready = held.ready
        runtime = RuntimeFacts(
            contract=CONTRACT_VERSION,
            ort=runtime_in(ready.fingerprint),
            provider=ready.provider,
            fingerprint=ready.fingerprint,
        )
        if runtime == self._runtime:
            return
        try:
            self._memory.write_runtime(runtime)
        except OSError as error:
            log.warning("runtime.json not saved", extra={"error": str(error)})
            return
        self._runtime = runtime

    def refuse(self, order: str, reason: str, message: str) -> None:
        """Say why *order* is not followed; said once in the log, kept for the report."""
        error = TypedError(reason=reason[:64], message=message[:500], order=order)
        if error != self._faults.get(Source.ORDER):
            log.warning("order not followed", extra={"order": order, "reason": reason})
        self._faults.put(Source.ORDER, error)
