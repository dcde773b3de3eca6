"""The smoke test's process: one bundle, one answer, and the end.

Started for the stager with the descriptor of a pipe, the bundle's folder and digest, megabytes and
seconds. Limits hold before ONNX Runtime is loaded, everything else before the model is.
"""

import os
import sys
from pathlib import Path

from taktgate.bundle import layout
from taktgate.bundle.errors import BundleError
from taktgate.bundle.manifest import Manifest, digest_of
from taktgate.bundle.verification import VerifiedBundle
from taktgate.edge.process import OrphanedError, die_with_parent
from taktgate.staging.smoke import answer, confinement
from taktgate.staging.smoke.findings import Finding, ModelFaultError


def main(arguments: list[str]) -> int:
    """Test what *arguments* name, say the answer into the pipe; return the exit code."""
    descriptor, folder, digest, memory_mb, limit_s = arguments
    try:
        die_with_parent()
    except OrphanedError:
        return 0  # nobody wants this process any more
    confinement.limit(memory_mb=int(memory_mb), limit_s=float(limit_s))
    pipe = int(descriptor)
    os.write(pipe, answer.line(_test(pipe, Path(folder), digest)))
    return 0


def _test(pipe: int, folder: Path, digest: str) -> answer.Ending:
    try:
        bundle = _bundle(folder, digest)
        return _examined(pipe, bundle)
    except ModelFaultError as fault:
        return answer.Refused(finding=fault.finding, message=fault.message)
    except MemoryError:
        return answer.Refused(finding=Finding.MEMORY, message="it leaves Python no memory")
    except (ImportError, OSError, BundleError) as error:
        return answer.Unable(message=f"{type(error).__name__}: {error}"[:500])
    except Exception as error:  # noqa: BLE001 - the top of a process, and this line is its log
        return answer.Unable(message=f"unexpected error: {error!r}"[:500])


def _examined(pipe: int, bundle: VerifiedBundle) -> answer.Passed:
    # Here, not above: under the limits, and a runtime that does not load is to be said.
    from taktgate.staging.smoke.examination import examine
    from taktgate.staging.smoke.session import RUNTIME_VERSION, SmokeSession

    unconfined = confinement.confine([bundle.directory, *map(Path, filter(None, sys.path))])
    os.write(pipe, answer.line(answer.Begun(runtime=RUNTIME_VERSION, unconfined=unconfined)))
    session = SmokeSession(bundle.model_path, bundle.manifest)
    return examine(bundle, session.run)


def _bundle(folder: Path, digest: str) -> VerifiedBundle:
    """Return the bundle in *folder*, which the stager has just verified.

    Raises:
        OSError: it cannot be read, or is not the one that was meant.
        BundleError: its manifest breaks a rule.
    """
    data = (folder / layout.MANIFEST).read_bytes()
    if digest_of(data) != digest:
        raise OSError(f"the bundle is not the one with digest {digest}")
    return VerifiedBundle(directory=folder, manifest=Manifest.parse(data), digest=digest)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
