"""What a station takes itself for: the row of its class, and the runtime it really has."""

import platform
import shutil
from pathlib import Path

import pytest
from tests.unit.inspection.models_of_a_station import commissioned

from taktgate.bundle.compatibility import CPU, CUDA, CompatibilityMatrix
from taktgate.bundle.errors import DeviceUnknownError
from taktgate.contracts import CONTRACT_VERSION
from taktgate.contracts.codec import decode
from taktgate.contracts.runtime import RUNTIME_FILE, RuntimeFacts
from taktgate.inspection.activation_file import ActivationFiles
from taktgate.staging.slots.gate import MATRIX_FILE, StationGate

MATRIX = Path(__file__).parents[3] / "config" / MATRIX_FILE
ROW = CompatibilityMatrix.load(MATRIX).facts("cpu", platform.machine())


def runtime(ort: str = ROW.runtime_version, provider: str = CPU) -> RuntimeFacts:
    return RuntimeFacts(contract=CONTRACT_VERSION, ort=ort, provider=provider, fingerprint="f")


@pytest.fixture
def files(tmp_path: Path) -> ActivationFiles:
    return ActivationFiles(folder=tmp_path)


@pytest.fixture
def gate(tmp_path: Path) -> StationGate:
    shutil.copy(MATRIX, tmp_path)
    return StationGate(config=tmp_path, device_class="cpu", runtime=tmp_path / RUNTIME_FILE)


def test_the_row_answers_until_a_model_ran_here(gate: StationGate) -> None:
    assert gate.device() == ROW


def test_row_and_runtime_that_agree_make_the_device(
    gate: StationGate, files: ActivationFiles
) -> None:
    files.write_runtime(runtime())
    assert gate.device() == ROW


@pytest.mark.parametrize("real", [runtime(ort="1.30.0"), runtime(provider=CUDA)])
def test_a_contradiction_is_said_and_nothing_is_staged(
    gate: StationGate, files: ActivationFiles, real: RuntimeFacts
) -> None:
    files.write_runtime(real)
    with pytest.raises(DeviceUnknownError, match=r"but inference runs"):
        gate.device()


def test_without_a_matrix_the_real_runtime_answers(
    gate: StationGate, files: ActivationFiles
) -> None:
    (gate.config / MATRIX_FILE).unlink()
    files.write_runtime(runtime(ort="1.20.1", provider=CUDA))
    device = gate.device()
    assert (device.runtime_version, device.providers) == ("1.20.1", (CUDA, CPU))
    assert (device.opset_max, device.ir_max) == (21, 10)


@pytest.mark.parametrize("content", [b"", b"{", b'{"contract": "9.0", "ort": "1"}'])
def test_a_file_that_cannot_be_read_counts_for_nothing(gate: StationGate, content: bytes) -> None:
    (gate.config / RUNTIME_FILE).write_bytes(content)
    assert gate.device() == ROW


def test_inference_writes_what_it_really_runs_with(tmp_path: Path) -> None:
    station, _ = commissioned()
    assert station.runtime == RuntimeFacts(
        contract=CONTRACT_VERSION, ort="f", provider=CPU, fingerprint="f"
    )
    ActivationFiles(folder=tmp_path).write_runtime(runtime())
    assert decode(RuntimeFacts, (tmp_path / RUNTIME_FILE).read_bytes()) == runtime()


def test_what_it_says_already_is_not_written_again(files: ActivationFiles) -> None:
    files.write_runtime(runtime())
    first = (files.folder / RUNTIME_FILE).stat().st_ino
    files.write_runtime(runtime())
    assert (files.folder / RUNTIME_FILE).stat().st_ino == first
    files.write_runtime(runtime(ort="1.30.0"))
    assert (files.folder / RUNTIME_FILE).stat().st_ino != first
