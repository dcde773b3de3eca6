"""What a bundle must pass on this station, whatever the twin says."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from taktgate.bundle.compatibility import (
    CPU,
    CompatibilityMatrix,
    DeviceFacts,
    in_use,
    this_device,
)
from taktgate.bundle.reading import Heed
from taktgate.bundle.signing import TrustedKeys
from taktgate.bundle.verification import VerifiedBundle, verify_directory
from taktgate.contracts.codec import ContractError, decode, is_compatible
from taktgate.contracts.runtime import RuntimeFacts

log = logging.getLogger(__name__)

KEYS_FOLDER: Final = "trusted_keys"
MATRIX_FILE: Final = "device_compatibility_matrix.yaml"


class Gate(Protocol):
    """Lets bundles pass, or does not."""

    def check_self(self) -> None:
        """See whether anything can be verified at all, before a download is made for it.

        Raises:
            BundleError: the fault is on our side: KeyFileError or DeviceUnknownError.
        """

    def device(self) -> DeviceFacts:
        """Return what this device can run.

        Raises:
            DeviceUnknownError: nobody can say.
        """

    def verify(self, folder: Path, *, heed: Heed | None = None) -> VerifiedBundle:
        """Return the bundle that lies in *folder*; call *heed* between pieces of a large file.

        Raises:
            BundleError: it must not be used here, or the fault is on our side.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class StationGate:
    """The gate of a real station.

    What this device can run is what the row of its class says and inference's real runtime has:
    when the two contradict each other, nothing new is staged until a person has settled that.
    Without a row the real runtime answers alone, and on a station where no model ever ran the row.

    Keys and device facts are read at each use: a new key counts without a restart, and a missing
    one is reported with the order that met it, where its sender looks.
    """

    config: Path
    device_class: str
    runtime: Path | None = None
    """Inference's `runtime.json`."""

    def check_self(self) -> None:
        """See whether keys and device facts can be had.

        Raises:
            KeyFileError: there is no usable key.
            DeviceUnknownError: see `device`.
        """
        self._keys()
        self.device()

    def verify(self, folder: Path, *, heed: Heed | None = None) -> VerifiedBundle:
        """Return the bundle that lies in *folder*; call *heed* between pieces of a large file.

        Raises:
            BundleError: it must not be used here, or the fault is on our side.
        """
        return verify_directory(folder, self._keys(), self.device(), heed=heed)

    def _keys(self) -> TrustedKeys:
        return TrustedKeys.load(self.config / KEYS_FOLDER)

    def device(self) -> DeviceFacts:
        """Return what this device can run.

        Raises:
            DeviceUnknownError: nobody knows its class, it is for another processor, or inference
                runs another runtime than its row of the matrix says.
        """
        real = self._real_runtime()
        matrix = self.config / MATRIX_FILE
        if not matrix.exists():  # as on a laptop
            return _by_runtime(self.device_class, real)
        row = CompatibilityMatrix.load(matrix).facts(self.device_class)
        return row if real is None else in_use(row, ort=real.ort, provider=real.provider)

    def _real_runtime(self) -> RuntimeFacts | None:
        """Return what inference has written; None if nothing that can be read.

        It may be doubted, since the runner asks its own runtime again before it loads a model.
        """
        if self.runtime is None:
            return None
        try:
            real = decode(RuntimeFacts, self.runtime.read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ContractError) as error:
            log.warning("runtime.json counts for nothing", extra={"error": str(error)})
            return None
        return real if is_compatible(real.contract) else None


def _by_runtime(device_class: str, real: RuntimeFacts | None) -> DeviceFacts:
    if real is None:
        return this_device(device_class)
    providers = tuple(dict.fromkeys((real.provider, CPU)))
    return this_device(device_class, runtime_version=real.ort, providers=providers)
