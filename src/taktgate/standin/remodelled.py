"""A bundle with another model in it: everything else is as it was."""

from pathlib import Path

from taktgate.bundle import layout
from taktgate.bundle.archive import pack
from taktgate.bundle.manifest import Manifest, digest_of, listed
from taktgate.bundle.signing import SigningKey


def write_remodelled(
    unpacked: Path, model: bytes, *, key: SigningKey, to: Path, **named: str
) -> None:
    """Write the bundle that lies in the folder *unpacked* to *to*, with *model* as its model.

    Args:
        unpacked: The bundle, sound and unpacked.
        model: The ONNX file.
        key: Signs the new manifest.
        to: The archive to write.
        named: The new `name` or `version`.

    Raises:
        BundleError: What lies there is damaged.
        OSError: *to* cannot be written.
    """
    manifest = Manifest.parse((unpacked / layout.MANIFEST).read_bytes())
    files = {its.path: (unpacked / its.path).read_bytes() for its in manifest.files}
    files[layout.MODEL] = model
    changed = {**named, "source_digest": digest_of(model), "files": listed(files)}
    pack(manifest=manifest.model_copy(update=changed), files=files, key=key, to=to)
