"""What the smoke test's process can no longer do: real processes, each tries one thing."""

import re
from pathlib import Path

import pytest
from tests.open_descriptors import descriptors
from tests.unit.smoke import hostile

from taktgate.bundle.verification import VerifiedBundle
from taktgate.staging.errors import SandboxError, SmokeError
from taktgate.staging.smoke.sandbox import Sandbox

BEGIN = """
import os, socket, sys
from pathlib import Path
from taktgate.staging.smoke import answer, confinement
from taktgate.staging.smoke.findings import Finding
pipe, folder = int(sys.argv[1]), Path(sys.argv[2])
def say(line):
    os.write(pipe, answer.line(line))
def refused(message):
    say(answer.Refused(finding=Finding.RUN, message=message))
confinement.limit(memory_mb=int(sys.argv[4]), limit_s=float(sys.argv[5]))
missing = confinement.confine([folder, *map(Path, filter(None, sys.path))])
say(answer.Begun(runtime="none", unconfined=missing))
"""
ATTEMPT = """
try:
    {attempt}
except (MemoryError, OSError) as error:
    refused(f"{{type(error).__name__}} {{'; '.join(missing)}}")
else:
    refused("it could")
"""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> VerifiedBundle:
    return hostile.bundle(tmp_path_factory.mktemp("bundle"))


def verdict(bundle: VerifiedBundle, program: str, *, limit_s: float = 20.0) -> str:
    sandbox = Sandbox(memory_mb=512, limit_s=limit_s, program=("-c", program))
    with pytest.raises((SmokeError, SandboxError)) as caught:
        sandbox.run(bundle, lambda: None)
    return f"{caught.value.reason} {caught.value}"


@pytest.mark.parametrize(
    ("attempt", "ends_in"),
    [
        pytest.param("bytearray(1 << 30)", "MemoryError", id="allocate"),
        pytest.param("Path('/dev/shm/taktgate-smoke').write_bytes(b'x')", "Error", id="write"),
        pytest.param("(folder / 'model.onnx').open('ab').write(b'x')", "Error", id="change"),
        pytest.param("os.fork() or os._exit(0)", "Error", id="fork"),
        pytest.param("os.execv('/bin/true', ['true'])", "PermissionError", id="exec"),
        pytest.param("socket.socket()", "PermissionError", id="socket"),
        pytest.param("os.kill(os.getppid(), 0)", "PermissionError", id="signal"),
        pytest.param("Path('/etc/passwd').read_bytes()", "PermissionError", id="read"),
        pytest.param("Path('/proc/1/environ').read_bytes()", "PermissionError", id="look around"),
    ],
)
def test_it_cannot(bundle: VerifiedBundle, attempt: str, ends_in: str) -> None:
    said = verdict(bundle, BEGIN + ATTEMPT.format(attempt=attempt))
    assert ends_in in said
    assert "it could" not in said


def test_it_can_still_read_the_bundle(bundle: VerifiedBundle) -> None:
    said = verdict(bundle, BEGIN + ATTEMPT.format(attempt="(folder / 'model.onnx').read_bytes()"))
    assert "it could" in said


def test_it_inherits_no_secret(bundle: VerifiedBundle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IOTEDGE_SECRET", "xyzzy")
    said = verdict(bundle, BEGIN + "refused(' '.join(os.environ))")
    assert "TAKTGATE_PARENT_PID" in said
    assert "IOTEDGE" not in said


@pytest.mark.parametrize(
    ("program", "said"),
    [
        pytest.param(BEGIN + "os.write(pipe, b'x' * 9000)", "SMOKE ANSWER: .*8192", id="too much"),
        pytest.param(BEGIN + "os.write(pipe, b'hello\\n')", "SMOKE ANSWER: .*JSON", id="rubbish"),
        pytest.param(BEGIN + "os._exit(3)", "SMOKE CRASH: .*code 3", id="leaves"),
        pytest.param(BEGIN + "os.abort()", "SMOKE CRASH: .*SIGABRT", id="aborts"),
        pytest.param("raise SystemExit(7)", "SANDBOX .*before.*code 7", id="never begins"),
        pytest.param(
            BEGIN + "import signal; signal.raise_signal(signal.SIGKILL)",
            "SMOKE CRASH: .*SIGKILL: .*memory",
            id="killed",
        ),
    ],
)
def test_another_end_than_an_answer_says_which(
    bundle: VerifiedBundle, program: str, said: str
) -> None:
    message = verdict(bundle, program)
    assert re.search(said, message), message


def test_what_spins_or_sleeps_is_ended_and_leaves_nothing(bundle: VerifiedBundle) -> None:
    program = BEGIN + "refused(str(os.getpid()))\nimport time\ntime.sleep(600)"
    for limit_s in (1.5, 15.0, 60.0):  # a busy machine needs some of it to come to the model
        said = verdict(bundle, program, limit_s=limit_s)
        if "before it turned to the model" not in said:
            break
    pid = int(said.split()[-1])
    assert not Path(f"/proc/{pid}").exists()


def test_it_leaves_no_descriptor_open(bundle: VerifiedBundle) -> None:
    before = descriptors()
    verdict(bundle, "raise SystemExit(7)")
    assert descriptors() <= before
