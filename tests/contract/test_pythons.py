"""scripts/test_pythons: which Python it takes, and that a missing one is not passed over."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EMPTY_SHIM = "#!/bin/sh\necho 'pyenv: python3.12: command not found' >&2\nexit 127\n"
REAL = '#!/bin/sh\nprintf "3.12\\n%s\\n" "$0"\n'
PYENV = """#!/bin/sh
case "$1" in
    latest) echo 3.12.9 ;;
    prefix) echo "$PREFIX" ;;
esac
"""
UV = '#!/bin/sh\nshift 3\n[ "$1" = 3.12 ] && echo "$FROM_UV"\n'


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder that is all of PATH but for a shell."""
    return tmp_path


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
    return path


def found(tools: Path, version: str = "3.12", **environment: str) -> str:
    question = f"import pythons; print(pythons.find_python({version!r}))"
    clean = {"PATH": str(tools), "PYTHONPATH": str(ROOT / "scripts"), **environment}
    done = subprocess.run(
        [sys.executable, "-c", question], env=clean, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_python_on_path_is_taken(tools: Path) -> None:
    python = put(tools / "python3.12", REAL)
    assert found(tools) == str(python)


def test_behind_an_empty_shim_pyenv_is_asked(tools: Path) -> None:
    put(tools / "python3.12", EMPTY_SHIM)
    put(tools / "pyenv", PYENV)
    python = put(tools / "versions/3.12.9/bin/python", REAL)
    assert found(tools, PREFIX=str(python.parents[1])) == str(python)


def test_uv_is_asked_last_and_downloads_nothing(tools: Path) -> None:
    python = put(tools / "managed/python", REAL)
    put(tools / "uv", UV)
    assert found(tools, FROM_UV=str(python)) == str(python)
    source = (ROOT / "scripts/pythons.py").read_text(encoding="utf-8")
    assert '"--no-python-downloads"' in source


def test_python_of_another_version_is_not_taken(tools: Path) -> None:
    put(tools / "python3.13", REAL)
    assert found(tools, "3.13") == "None"


def test_version_that_was_asked_for_and_is_missing_fails_by_name(tools: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts/pythons.py"), "3.99", "--json"],
        env={"PATH": str(tools)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Python 3.99 is missing; looked on PATH, with pyenv and with uv" in done.stderr
    assert json.loads(done.stdout) == {"pythons": [], "missing": ["3.99"]}


def test_wrapper_is_executable_and_parses() -> None:
    path = ROOT / "scripts/test_pythons"
    assert os.access(path, os.X_OK)
    subprocess.run(["bash", "-n", str(path)], check=True)
