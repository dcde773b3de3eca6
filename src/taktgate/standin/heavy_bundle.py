"""A sample bundle made heavy: the same model, with ballast that no graph reads."""

import os
import tempfile
from pathlib import Path
from typing import Final

from taktgate.bundle import layout
from taktgate.bundle.archive import unpack
from taktgate.bundle.signing import SigningKey
from taktgate.standin import onnx_file as onnx
from taktgate.standin.remodelled import write_remodelled

_DOCUMENTATION: Final = 6
"""ModelProto.doc_string: as long as one likes, and no part of the graph."""


def write_heavy(
    sample: Path, *, version: str, ballast_bytes: int, key: SigningKey, to: Path
) -> None:
    """Write the bundle *sample* as *version* to *to*, with a model file heavier by *ballast_bytes*.

    Raises:
        BundleError: *sample* is damaged.
        OSError: *to* cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="taktgate-bundle-") as folder:
        directory = Path(folder)
        unpack(sample, directory)
        model = (directory / layout.MODEL).read_bytes()
        text = os.urandom(ballast_bytes // 2).hex().encode()
        heavy = model + onnx.field(_DOCUMENTATION, text)
        write_remodelled(directory, heavy, version=version, key=key, to=to)
