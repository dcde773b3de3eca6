"""A sample bundle made heavy: the same model, with ballast that no graph reads."""

import os
import tempfile
from pathlib import Path
from typing import Final

from taktgate.bundle import layout
from taktgate.bundle.archive import pack, unpack
from taktgate.bundle.manifest import BundleFile, Manifest, digest_of
from taktgate.bundle.signing import SigningKey
from taktgate.standin import onnx_file as onnx

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
        manifest = Manifest.parse((directory / layout.MANIFEST).read_bytes())
        files = {its.path: (directory / its.path).read_bytes() for its in manifest.files}
    text = os.urandom(ballast_bytes // 2).hex().encode()
    files[layout.MODEL] += onnx.field(_DOCUMENTATION, text)
    heavy = manifest.model_copy(
        update={
            "version": version,
            "source_digest": digest_of(files[layout.MODEL]),
            "files": tuple(
                BundleFile(path=path, size_bytes=len(data), sha256=digest_of(data))
                for path, data in sorted(files.items())
            ),
        }
    )
    pack(manifest=heavy, files=files, key=key, to=to)
