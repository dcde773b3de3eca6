"""The smoke test, from the stager's side: one process for one model, and no trace of it after."""

import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from typing import Final

from taktgate.bundle.compatibility import CPU, installed_runtime
from taktgate.bundle.manifest import Artifact
from taktgate.bundle.verification import VerifiedBundle
from taktgate.edge.process import PARENT_VARIABLE
from taktgate.staging.errors import SandboxError
from taktgate.staging.smoke import answer
from taktgate.staging.smoke.answer import Passed
from taktgate.staging.smoke.conclusion import conclude
from taktgate.staging.smoke.watch import End, watch

log = logging.getLogger(__name__)

PROCESS: Final = ("-m", "taktgate.staging.smoke.process")
_INHERITED: Final = ("PYTHONPATH", "LD_LIBRARY_PATH")
"""Where Python and its native libraries lie. Nothing else: there are secrets in our environment."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SmokeResult:
    """What a smoke test found that refused nothing.

    Attributes:
        figures: Of a model that passed; None: it was not tested, see `not_here`.
        not_here: Why this image cannot run it; "" if it was tested.
        unconfined: Measures of confinement that were not to be had.
    """

    figures: Passed | None = None
    not_here: str = ""
    unconfined: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """Tests models in a process that may neither grow nor linger.

    Attributes:
        memory_mb: Address space of the process, runtime and interpreter included.
        limit_s: How long a test may take.
        program: What Python runs.
        runtime: Version of the ONNX Runtime in this image; None: there is none.
    """

    memory_mb: int
    limit_s: float
    program: Sequence[str] = PROCESS
    runtime: str | None = field(default_factory=installed_runtime)

    def run(self, bundle: VerifiedBundle, check: Callable[[], None]) -> None:
        """Return once the model of *bundle* has passed, or cannot be tested here; log which.

        Raises:
            SmokeError: the model does not run as it should.
            SandboxError: the fault is on our side.
        """
        result = self.test(bundle, check)
        facts = {"digest": bundle.digest, "unconfined": result.unconfined}
        if result.figures is None:
            log.warning(
                "NOT_HERE: not smoke-tested, inference's runner is the first to run this model",
                extra=facts | {"why": result.not_here},
            )
            return
        log.info("smoke test passed", extra=facts | asdict(result.figures))
        if result.figures.golden_images == 0:
            log.warning("its golden images are not here: only inference can show them", extra=facts)

    def test(self, bundle: VerifiedBundle, check: Callable[[], None]) -> SmokeResult:
        """Return what was found; arguments and errors are those of `run`."""
        if self.runtime is None:
            raise SandboxError("ONNX Runtime is not installed in this image")
        why = _not_here(bundle.manifest.artifact, self.runtime)
        if why:
            return SmokeResult(not_here=why)
        end = self._run(bundle, check)
        said = answer.read(end.output)
        figures = conclude(said, end, limit_s=self.limit_s)
        return SmokeResult(figures=figures, unconfined=said.begun.unconfined if said.begun else ())

    def _run(self, bundle: VerifiedBundle, check: Callable[[], None]) -> End:
        with ExitStack() as pipe:
            ours, theirs = os.pipe2(os.O_CLOEXEC)
            pipe.callback(os.close, ours)
            with ExitStack() as their_end:
                their_end.callback(os.close, theirs)
                child = self._start(bundle, theirs)
            os.set_blocking(ours, False)
            return watch(child, ours, limit_s=self.limit_s, check=check)

    def _start(self, bundle: VerifiedBundle, pipe: int) -> subprocess.Popen[bytes]:
        """Start the process in a session of its own, with nothing of ours but *pipe*.

        Raises:
            SandboxError: no process is to be had.
        """
        order = (str(pipe), str(bundle.directory), bundle.digest)
        limits = (str(self.memory_mb), str(self.limit_s))
        try:
            return subprocess.Popen(
                [sys.executable, "-P", "-B", "-s", *self.program, *order, *limits],
                cwd="/",
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[pipe],
                start_new_session=True,
            )
        except OSError as error:
            raise SandboxError(f"no process is to be had: {error}") from error


def _not_here(artifact: Artifact, runtime: str) -> str:
    """Return why ONNX Runtime *runtime* on the CPU cannot run *artifact*; "" if it can."""
    compilation = artifact.compilation
    if compilation is None:
        return ""
    if artifact.kind == "trt_engine" or compilation.provider != CPU:
        return f"compiled for {compilation.provider}, this image has the CPU only"
    if compilation.ort != runtime:
        return f"compiled by ONNX Runtime {compilation.ort}, this image has {runtime}"
    return ""


def _environment() -> dict[str, str]:
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    inherited = {name: os.environ[name] for name in _INHERITED if name in os.environ}
    return {
        **one_thread,
        **inherited,
        "ORT_DISABLE_TELEMETRY": "1",
        PARENT_VARIABLE: str(os.getpid()),
    }
