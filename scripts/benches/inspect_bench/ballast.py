"""A signed bundle of 200 MB: the weld-seam sample with a model file that is heavy and well."""

from pathlib import Path
from typing import Final

from benches.inspect_bench.model import KEY, SAMPLES

from taktgate.bundle.signing import SigningKey
from taktgate.standin.heavy_bundle import write_heavy

BALLAST_BYTES: Final = 200_000_000
NAME: Final = "weld-seam"
VERSION: Final = "9.0.0"


def write_ballast(to: Path) -> None:
    """Write the bundle to *to*."""
    write_heavy(
        SAMPLES / "weld-seam/weld-seam-1.0.0.bundle",
        version=VERSION,
        ballast_bytes=BALLAST_BYTES,
        key=SigningKey.load(KEY),
        to=to,
    )
