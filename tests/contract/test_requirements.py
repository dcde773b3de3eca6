"""requirements/*.txt: pinned by hash, as pyproject.toml says, and nothing that does not belong."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from taktgate.bundle.compatibility import CompatibilityMatrix

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "requirements").glob("*.txt"))
DEVICE_SETS = (
    "inference-cpu",
    "inference-gpu",
    "inference-gpu-cuda12",
    "plc_writer",
    "model_stager",
)
EXTRAS = {
    "dev": ("dev",),
    "inference-cpu": ("inference", "cpu"),
    "inference-gpu": ("inference", "gpu"),
    "inference-gpu-cuda12": ("inference", "gpu-cuda12"),
    "plc_writer": ("plc-writer",),
    "model_stager": ("model-stager",),
    "registry": ("registry",),
    "rollout": ("rollout",),
}
GROUPS = {"uv": ("uv",), "build": ("build",)}
BENCHES = ("bench-peers", "bench-mlserver")
"""Sets of other environments than .venv, compiled from a file of the same name that ends in .in."""
PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(\[[a-z0-9,]+\])?==(?P<version>[A-Za-z0-9.+]+)$")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def text_of(name: str) -> str:
    return (ROOT / "requirements" / f"{name}.txt").read_text(encoding="utf-8")


def entries_of(text: str) -> list[str]:
    """Return the requirements of a file, each with its options on the one line."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [entry for entry in "\n".join(lines).replace("\\\n", " ").splitlines() if entry.strip()]


def pins_of(name: str) -> dict[str, str]:
    """Return the locked versions of a set."""
    pins: dict[str, str] = {}
    for entry in entries_of(text_of(name)):
        found = PIN.match(entry.split()[0])
        assert found is not None, f"{name}: not an exact pin: {entry.split()[0]}"
        pins[normal(found["name"])] = found["version"]
    return pins


def declared(name: str) -> dict[str, str]:
    """Return the direct pins that pyproject.toml declares for a set, its references followed."""
    project = PROJECT["project"]
    wanted = list(GROUPS.get(name, ()))
    lists = [PROJECT["dependency-groups"][group] for group in wanted]
    if name in EXTRAS:
        lists = [project["dependencies"]]
        lists += [project["optional-dependencies"][extra] for extra in EXTRAS[name]]
    pins: dict[str, str] = {}
    while lists:
        for requirement in lists.pop():
            if inner := re.match(r"taktgate\[(.+)\]$", requirement):
                extras = inner[1].split(",")
                lists += [project["optional-dependencies"][extra] for extra in extras]
                continue
            found = PIN.match(requirement)
            assert found is not None, f"pyproject.toml: not an exact pin: {requirement}"
            pins[normal(found["name"])] = found["version"]
    return pins


def test_there_is_one_file_for_each_deployable_and_no_other() -> None:
    assert {path.stem for path in FILES} == {*EXTRAS, *GROUPS, *BENCHES}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_no_address_of_a_registry_is_recorded(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "://" not in text
    assert not re.search(r"^\s*(-i|-f|--index-url|--extra-index-url|--find-links)\b", text, re.M)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_requirement_is_hashed(path: Path) -> None:
    entries = entries_of(path.read_text(encoding="utf-8"))
    assert entries
    for entry in entries:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), f"no hash: {entry}"


@pytest.mark.parametrize("name", [*EXTRAS, *GROUPS])
def test_direct_pins_are_those_of_the_project(name: str) -> None:
    locked = pins_of(name)
    assert {package: locked.get(package) for package in declared(name)} == declared(name)


@pytest.mark.parametrize("name", BENCHES)
def test_a_set_of_the_benches_holds_what_it_was_compiled_from(name: str) -> None:
    asked = (ROOT / f"requirements/{name}.in").read_text(encoding="utf-8")
    wanted = dict(entry.split("==") for entry in entries_of(asked))
    text = text_of(name)
    assert {each for each in wanted if f"{each}=={wanted[each]} " not in text} == set()


def test_the_peers_run_the_model_on_our_onnx_runtime() -> None:
    for name in BENCHES:
        assert f"onnxruntime=={pins_of('inference-cpu')['onnxruntime']} " in text_of(name)


def test_sets_agree_on_every_version() -> None:
    versions: dict[str, set[str]] = {}
    for name in (*EXTRAS, *GROUPS):
        for package, version in pins_of(name).items():
            versions.setdefault(package, set()).add(version)
    # Two CUDA lines, one package name: the only one that may differ.
    assert {package for package, found in versions.items() if len(found) > 1} == {"onnxruntime-gpu"}


@pytest.mark.parametrize("name", DEVICE_SETS)
def test_no_service_sdk_and_no_tool_reaches_a_device(name: str) -> None:
    foreign = {"azure-iot-hub", "uamqp", "msrest", "pytest", "mypy", "ruff", "rich", "elpv-dataset"}
    assert not foreign & set(pins_of(name))


def test_undeclared_dependency_of_the_service_sdk_is_declared_by_us() -> None:
    assert {"azure-iot-hub", "six"} <= set(pins_of("rollout"))


@pytest.mark.parametrize("name", [*EXTRAS])
def test_cpu_and_gpu_runtime_exclude_each_other(name: str) -> None:
    runtimes = {"onnxruntime", "onnxruntime-gpu"} & set(pins_of(name))
    expected = {
        "dev": {"onnxruntime"},
        "inference-cpu": {"onnxruntime"},
        "inference-gpu": {"onnxruntime-gpu"},
        "inference-gpu-cuda12": {"onnxruntime-gpu"},
        "model_stager": {"onnxruntime"},  # its smoke test
        "registry": {"onnxruntime"},  # compiles a model, and measures one before its release
    }
    assert runtimes == expected.get(name, set())


def test_the_stager_brings_what_its_smoke_test_runs_on() -> None:
    stager, inference = pins_of("model_stager"), pins_of("inference-cpu")
    for name in ("numpy", "onnxruntime", "pillow"):
        assert stager[name] == inference[name]


def test_each_gpu_set_brings_the_libraries_of_its_cuda_line() -> None:
    assert "nvidia-cudnn-cu13" in pins_of("inference-gpu")
    assert "nvidia-cudnn-cu12" in pins_of("inference-gpu-cuda12")
    assert not any(name.endswith("-cu12") for name in pins_of("inference-gpu"))
    assert not any(name.endswith("-cu13") for name in pins_of("inference-gpu-cuda12"))


@pytest.mark.parametrize(
    ("device_class", "name", "runtime", "cudnn"),
    [
        ("cpu", "inference-cpu", "onnxruntime", None),
        ("x86-ipc-cuda12", "inference-gpu-cuda12", "onnxruntime-gpu", "nvidia-cudnn-cu12"),
        ("x86-ipc-cuda13", "inference-gpu", "onnxruntime-gpu", "nvidia-cudnn-cu13"),
    ],
)
def test_the_matrix_says_what_the_set_of_a_device_class_installs(
    device_class: str, name: str, runtime: str, cudnn: str | None
) -> None:
    matrix = CompatibilityMatrix.load(ROOT / "config/device_compatibility_matrix.yaml")
    (row,) = [each for each in matrix.rows if each.device_class == device_class]
    pins = pins_of(name)
    assert row.ort == pins[runtime]
    assert (row.cudnn is None) == (cudnn is None)
    if row.cudnn is not None and cudnn is not None:
        assert pins[cudnn].startswith(f"{row.cudnn}.")


def test_build_backend_is_the_pinned_one() -> None:
    (backend,) = PROJECT["build-system"]["requires"]
    assert backend in PROJECT["dependency-groups"]["build"]


def test_lock_with_addresses_stays_out_of_git() -> None:
    assert "uv.lock" in (ROOT / ".gitignore").read_text(encoding="utf-8").splitlines()
