"""What a bundle must pass on this station, whatever the twin says."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from taktgate.bundle.compatibility import CompatibilityMatrix, DeviceFacts, this_device
from taktgate.bundle.signing import TrustedKeys
from taktgate.bundle.verification import VerifiedBundle, verify_directory

KEYS_FOLDER: Final = "trusted_keys"
MATRIX_FILE: Final = "device_compatibility_matrix.yaml"


class Gate(Protocol):
    """Lets bundles pass, or does not."""

    def check_self(self) -> None:
        """See whether anything can be verified at all, before a download is made for it.

        Raises:
            BundleError: the fault is on our side: KeyFileError or DeviceUnknownError.
        """

    def verify(self, folder: Path) -> VerifiedBundle:
        """Return the bundle that lies in *folder*.

        Raises:
            BundleError: it must not be used here, or the fault is on our side.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class StationGate:
    """The gate of a real station.

    Keys and device facts are read at each use: a new key counts without a restart, and a missing
    one is reported with the order that met it, where its sender looks.
    """

    config: Path
    device_class: str

    def check_self(self) -> None:
        """See whether keys and device facts can be had.

        Raises:
            KeyFileError: there is no usable key.
            DeviceUnknownError: nobody knows this device class.
        """
        self._keys()
        self._facts()

    def verify(self, folder: Path) -> VerifiedBundle:
        """Return the bundle that lies in *folder*.

        Raises:
            BundleError: it must not be used here, or the fault is on our side.
        """
        return verify_directory(folder, self._keys(), self._facts())

    def _keys(self) -> TrustedKeys:
        return TrustedKeys.load(self.config / KEYS_FOLDER)

    def _facts(self) -> DeviceFacts:
        """Return what this device can run: by the matrix, since this image holds no ONNX Runtime.

        Without a matrix the installed runtime answers, as on a laptop where all modules share one.
        """
        matrix = self.config / MATRIX_FILE
        if matrix.exists():
            return CompatibilityMatrix.load(matrix).facts(self.device_class)
        return this_device(self.device_class)
