"""Environments of the peers' own, made on demand from hash-pinned sets, below .venv-peers/.

Nothing of theirs comes into .venv. MLServer pins an older FastAPI than the others: it has a set for
itself.
"""

import hashlib
import os
import subprocess
import sys
from pathlib import Path
from typing import Final

from benches.inspect_bench.model import ROOT
from benches.inspect_bench.peers.port import PeerAbsentError

HOME: Final = ROOT / ".venv-peers"
INSTALL_LIMIT_S: Final = 900
_CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")


def python_of(set_name: str) -> Path:
    """Return the Python that has requirements/*set_name*.txt, installing it when it is due.

    Raises:
        PeerAbsentError: The set cannot be installed; says what the installer said.
    """
    requirements = ROOT / f"requirements/{set_name}.txt"
    folder = HOME / set_name
    python, stamp = folder / "bin/python", folder / "installed.sha256"
    due = hashlib.sha256(requirements.read_bytes() + sys.version.encode()).hexdigest()
    if stamp.exists() and stamp.read_text(encoding="utf-8") == due:
        return python
    print(f"bench inspect: installing requirements/{set_name}.txt", file=sys.stderr, flush=True)
    _run([sys.executable, "-m", "venv", "--clear", "--without-pip", str(folder)])
    _run(
        [
            *(str(Path(sys.prefix) / "bin/uv"), "pip", "install", "--quiet"),
            *("--python", str(python), "--require-hashes", "--requirement", str(requirements)),
        ]
    )
    stamp.write_text(due, encoding="utf-8")
    return python


def _run(command: list[str]) -> None:
    try:
        subprocess.run(
            command,
            env=_settings(),
            check=True,
            capture_output=True,
            text=True,
            timeout=INSTALL_LIMIT_S,
        )
    except subprocess.CalledProcessError as error:
        raise PeerAbsentError(f"cannot be installed: {error.stderr.strip()[-400:]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise PeerAbsentError(f"cannot be installed: {error}") from error


def _settings() -> dict[str, str]:
    """Return the environment with what scripts/bootstrap hands on: uv reads no pip settings."""
    given = dict(os.environ)
    certificate = given.get("PIP_CERT") or (str(_CERTIFICATES) if _CERTIFICATES.exists() else "")
    if certificate:
        given.setdefault("SSL_CERT_FILE", certificate)
    if index := given.get("PIP_INDEX_URL") or _pip_index():
        given.setdefault("UV_DEFAULT_INDEX", index)
    return given


def _pip_index() -> str:
    asked = [getattr(sys, "_base_executable", sys.executable), "-m", "pip"]
    found = subprocess.run(
        [*asked, "config", "get", "global.index-url"], capture_output=True, text=True, check=False
    )
    return found.stdout.strip() if found.returncode == 0 else ""
