"""Run the contract tests of the local Azure on several Pythons: see scripts/test_pythons.

A Python is looked for on PATH, then with pyenv, then with uv; none is ever downloaded. Those that
are asked for and absent are named, and then the exit code is not 0.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
PROMISED = ("3.11", "3.12")
TESTS = "tests/contract/test_azure_*.py"
UV = ROOT / ".venv/bin/uv"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What the tests came to on one Python."""

    version: str
    python: str
    """The full version, for example `3.12.1`."""
    tests: int
    failures: int
    errors: int
    skipped: int
    seconds: float
    exit_code: int


def main(arguments: Sequence[str] | None = None) -> int:
    """Run and report; 0 if all that was asked for is there and passes."""
    choices = _options().parse_args(arguments)
    wanted = choices.versions or PROMISED
    found = {version: find_python(version) for version in wanted}
    missing = [version for version, python in found.items() if python is None]
    for version in missing:
        say(f"Python {version} is missing; looked on PATH, with pyenv and with uv")
    outcomes = [run_on(version, python) for version, python in found.items() if python is not None]
    for outcome in outcomes:
        say(words(outcome))
    if choices.json:
        print(json.dumps({"pythons": [asdict(each) for each in outcomes], "missing": missing}))
    is_short = bool(missing and choices.versions) or not outcomes
    return int(is_short or any(each.exit_code for each in outcomes))


def find_python(version: str) -> Path | None:
    """Return the interpreter of *version* (`3.12`), or None when this machine has none."""
    for candidate in _candidates(version):
        question = "import sys; print('%d.%d' % sys.version_info[:2]); print(sys.executable)"
        answer = _answer(candidate, "-c", question).splitlines()
        if answer[:1] == [version]:
            return Path(answer[1])
    return None


def _candidates(version: str) -> Iterator[str]:
    """Yield commands that may be the interpreter; a version manager's shim may be an empty one."""
    if on_path := shutil.which(f"python{version}"):
        yield on_path
    exact = _answer("pyenv", "latest", version)
    if exact and (prefix := _answer("pyenv", "prefix", exact)):
        yield f"{prefix}/bin/python"
    uv = shutil.which("uv") or str(UV)
    if known := _answer(uv, "python", "find", "--no-python-downloads", version):
        yield known


def _answer(*command: str) -> str:
    """Return what *command* prints; nothing when it fails or does not exist."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""
    return done.stdout.strip()


def run_on(version: str, python: Path) -> Outcome:
    """Run the tests on *python* in its own environment, which is made first if it is not there."""
    venv = ROOT / ".venvs" / version
    environment = os.environ | {"TAKTGATE_VENV": str(venv), "PYTHON": str(python)}
    subprocess.run([ROOT / "scripts/bootstrap"], env=environment, check=True)
    interpreter = str(venv / "bin/python")
    full = _answer(interpreter, "-c", "import platform; print(platform.python_version())")
    files = sorted(str(path.relative_to(ROOT)) for path in ROOT.glob(TESTS))
    with tempfile.NamedTemporaryFile(suffix=".xml") as report:
        command = [interpreter, "-m", "pytest", "-q", f"--junitxml={report.name}", *files]
        say(f"Python {full}: {len(files)} files of tests")
        # The tests' words are not the result: standard output is for the JSON.
        done = subprocess.run(command, cwd=ROOT, stdout=sys.stderr, check=False)
        return _outcome(version, full, Path(report.name), done.returncode)


def _outcome(version: str, full: str, report: Path, exit_code: int) -> Outcome:
    text = report.read_text(encoding="utf-8")
    root = ElementTree.fromstring(text) if text else None  # noqa: S314 - our own pytest wrote it
    suite = None if root is None else root.find("testsuite")
    counts = {} if suite is None else suite.attrib
    return Outcome(
        version=version,
        python=full,
        tests=int(counts.get("tests", 0)),
        failures=int(counts.get("failures", 0)),
        errors=int(counts.get("errors", 0)),
        skipped=int(counts.get("skipped", 0)),
        seconds=float(counts.get("time", 0.0)),
        exit_code=exit_code,
    )


def words(outcome: Outcome) -> str:
    """Return an outcome in one line."""
    verdict = "passed" if outcome.exit_code == 0 else f"FAILED (exit code {outcome.exit_code})"
    return (
        f"Python {outcome.python}: {verdict}; {outcome.tests} tests, {outcome.failures} failures, "
        f"{outcome.errors} errors, {outcome.skipped} skipped, {outcome.seconds:.0f} s"
    )


def say(text: str) -> None:
    """Tell the user how far it is."""
    print(f"test_pythons: {text}", file=sys.stderr, flush=True)


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/test_pythons",
        description="Run the contract tests of the local Azure on several Pythons.",
    )
    parser.add_argument(
        "versions",
        nargs="*",
        metavar="VERSION",
        help=f"for example 3.12; without one: those of {', '.join(PROMISED)} that are here",
    )
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    return parser


if __name__ == "__main__":
    sys.exit(main())
