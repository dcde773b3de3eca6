"""Signed bundles of spoilt models: everything about them is true but what they do on the line."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

import numpy as np

from taktgate.bundle import layout
from taktgate.bundle.archive import unpack
from taktgate.bundle.golden import load_golden
from taktgate.bundle.manifest import Manifest
from taktgate.bundle.preprocessing import preprocess
from taktgate.bundle.signing import SigningKey
from taktgate.bundle.verification import VerifiedBundle
from taktgate.staging.smoke.frames import plain_frames
from taktgate.standin.faulty_models.graphs import STEP_SIDE, Harm, Spoiling, spoilt
from taktgate.standin.remodelled import write_remodelled

_MEASURED_WITHIN_S: Final = 30.0
_MEASURE: Final = f"""
import time
import numpy
even = numpy.full(({STEP_SIDE}, {STEP_SIDE}), 1 / {STEP_SIDE}, numpy.float32)
spent = []
for _ in range(15):
    began = time.process_time()
    numpy.matmul(even, even)
    spent.append(time.process_time() - began)
print(sorted(spent)[7])
"""


def write_faulty(sample: Path, harm: Harm, *, version: str, delay_ms: float, to: Path) -> None:
    """Write *sample*, spoilt and under another *version*, to *to*, with the development key.

    Args:
        sample: a bundle whose model takes uint8 frames.
        harm: what it is to do to parts.
        version: the new version.
        delay_ms: how long SLOW delays an answer on this machine, about.
        to: the file to be written.

    Raises:
        BundleError: *sample* is damaged, or its golden images are not to be had here.
        OSError: *to* cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="taktgate-bundle-") as folder:
        directory = Path(folder)
        unpack(sample, directory)
        manifest = Manifest.parse((directory / layout.MANIFEST).read_bytes())
        bundle = VerifiedBundle(directory=directory, manifest=manifest, digest="")
        model = spoilt(
            bundle.model_path.read_bytes(),
            _spoiling(harm, bundle, delay_ms),
            image=manifest.input.name,
            score=manifest.outputs.score,
        )
        write_remodelled(directory, model, version=version, key=development_key(), to=to)


def development_key() -> SigningKey:
    """Return the insecure key that the local world trusts."""
    return SigningKey.load(Path(__file__).parents[1] / "samples/development-signing-key.pem")


def _spoiling(harm: Harm, bundle: VerifiedBundle, delay_ms: float) -> Spoiling:
    spec = bundle.manifest.preprocessing
    # Black is also what a runner warms up with.
    shown = [*plain_frames(spec).values(), *(image.pixels for image in load_golden(bundle))]
    sums = {int(preprocess(pixels, spec).sum(dtype=np.int64)) for pixels in shown}
    known = tuple(sorted(sums))
    if harm is not Harm.SLOW:
        return Spoiling(harm=harm, known_sums=known)
    return Spoiling(harm=harm, known_sums=known, steps=max(1, round(delay_ms / step_ms())))


def step_ms() -> float:
    """Return how long one step of delay takes one core of this machine, about.

    In processor time, so that other programs that run meanwhile do not count; measured in another
    process, since the number of numpy's threads is settled when it is loaded.
    """
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    said = subprocess.run(
        [sys.executable, "-c", _MEASURE],
        env={**os.environ, **one_thread},
        capture_output=True,
        text=True,
        check=True,
        timeout=_MEASURED_WITHIN_S,
    ).stdout
    return 1e3 * float(said)
