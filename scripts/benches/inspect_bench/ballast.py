"""A signed bundle of 200 MB: the weld-seam sample with a model file that is heavy and well."""

import os
import tempfile
from pathlib import Path
from typing import Final

from benches.inspect_bench.model import KEY, weld_seam

from taktgate.bundle import layout
from taktgate.bundle.archive import pack
from taktgate.bundle.manifest import BundleFile, Manifest, digest_of
from taktgate.bundle.signing import SigningKey
from taktgate.standin import onnx_file as onnx

BALLAST_BYTES: Final = 200_000_000
NAME: Final = "weld-seam"
VERSION: Final = "9.0.0"
_DOCUMENTATION: Final = 6
"""ModelProto.doc_string: as long as one likes, and no part of the graph."""


def write_ballast(to: Path) -> None:
    """Write the bundle to *to*."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        sample = weld_seam(Path(folder))
        manifest = Manifest.parse((sample.slot / layout.MANIFEST).read_bytes())
        files = {its.path: (sample.slot / its.path).read_bytes() for its in manifest.files}
    text = os.urandom(BALLAST_BYTES // 2).hex().encode()
    files[layout.MODEL] += onnx.field(_DOCUMENTATION, text)
    heavy = manifest.model_copy(
        update={
            "version": VERSION,
            "source_digest": digest_of(files[layout.MODEL]),
            "files": tuple(
                BundleFile(path=path, size_bytes=len(data), sha256=digest_of(data))
                for path, data in sorted(files.items())
            ),
        }
    )
    pack(manifest=heavy, files=files, key=SigningKey.load(KEY), to=to)
