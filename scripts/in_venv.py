"""Imported first by the Python scripts here: go on in .venv when another Python started them."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_PYTHON = str(ROOT / ".venv/bin/python")

if Path(sys.prefix).resolve() != (ROOT / ".venv").resolve():
    subprocess.run([ROOT / "scripts/bootstrap"], check=True)
    # Its own path comes first: by that Python knows the environment it belongs to.
    os.execv(_PYTHON, [_PYTHON, *sys.argv])
