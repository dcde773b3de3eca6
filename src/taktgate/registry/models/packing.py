"""From a trained ONNX file to a signed bundle and its source.json."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from taktgate.bundle import layout
from taktgate.bundle.archive import pack
from taktgate.bundle.compatibility import CompatibilityMatrix
from taktgate.bundle.manifest import (
    BUNDLE_LIMIT_BYTES,
    Artifact,
    GoldenClaims,
    GoldenSet,
    Manifest,
    ModelInput,
    Preprocessing,
    Toolchain,
    digest_of,
    listed,
)
from taktgate.bundle.reading import read_small
from taktgate.bundle.signing import SigningKey
from taktgate.bundle.source import SourceModel
from taktgate.edge.files import publish
from taktgate.registry.models import images
from taktgate.registry.models.description import Description, load_description
from taktgate.registry.models.errors import DescriptionError, OnnxFileError
from taktgate.registry.models.measuring import Lines, Measured, Progress
from taktgate.registry.models.onnx_header import Header, read_header

_REPORT_LIMIT_BYTES = 64 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class PackOrder:
    """What to pack.

    Attributes:
        model: The trained ONNX file.
        description: The YAML file.
        matrix: The device classes there are.
        golden: Folder of the images of the golden set.
        test: Folder of the images that claims are measured on.
        hil_report: What hardware-in-the-loop wrote about this very model file.
        runs: How often it runs for the latency claims.
    """

    model: Path
    description: Path
    matrix: CompatibilityMatrix
    golden: Path
    test: Path
    key: SigningKey
    out: Path
    hil_report: Path | None
    runs: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Packed:
    """What was written."""

    bundle: Path
    digest: str
    manifest: Manifest
    source: Path | None


def pack_model(order: PackOrder, say: Progress) -> Packed:
    """Write the bundle and the source.json that *order* asks for.

    Raises:
        ModelError: The description, the images or the model are not as they must be.
        BundleError: A file cannot be read, or the manifest would break a rule.
        OSError: The folder cannot be written.
    """
    its = load_description(order.description)
    _require_known(its, order.matrix, order.description.name)
    model = read_small(order.model, limit_bytes=BUNDLE_LIMIT_BYTES)
    header = read_header(model)
    say(f"{order.model.name}: opset {header.opset}, IR {header.ir_version}, {header.precision}")
    its_input = _input(header)
    _require_fitting(header, its, order.description.name)
    spec = Preprocessing(
        width=its_input.shape[3], height=its_input.shape[2], **its.preprocessing.model_dump()
    )
    golden, test = images.find(order.golden), images.find(order.test)
    images.require_own_names(golden)
    images.require_apart(golden, test)
    measured = Measured(
        model,
        its_input=its_input,
        outputs=its.outputs,
        spec=spec,
        lines=Lines(band=its.uncertain_band, classes=its.classes),
    )
    items = measured.golden(golden, its.golden_tolerance)
    files = {f"{layout.GOLDEN}/{each.path.name}": each.read() for each in golden}
    files[layout.MODEL] = model
    say(f"golden set: {len(items)} images, each on its side of the line")
    claims = measured.claims(test, its.test_images, say)
    say(f"latency: {order.runs} runs")
    found: dict[str, Any] = {
        "source_digest": digest_of(model),
        "toolchain": Toolchain(exporter=header.producer or "unknown", **dict(its.toolchain)),
        "opset": header.opset,
        "ir_version": header.ir_version,
        "input": its_input,
        "preprocessing": spec,
        "golden": GoldenSet(source="bundle", items=tuple(items)),
        "golden_claims": claims,
        "latency_claims": measured.latency(order.runs, its.machine),
        "hil_report_digest": _report_digest(order.hil_report),
        "files": listed(files),
        "artifact": Artifact(kind="onnx", precision=header.precision, compilation=None),
    }
    manifest = _manifest(its, found, order.description.name)
    return _written(order, manifest, files, source_of(its, manifest, claims))


def _manifest(its: Description, found: dict[str, Any], file: str) -> Manifest:
    """Return what the description says and what was *found*, as one."""
    said = ("name", "version", "licence", "device_class", "outputs", "threshold", "classes")
    named = {field: getattr(its, field) for field in (*said, "uncertain_band")}
    try:
        return Manifest(schema="1", **named, **found)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise DescriptionError(file, ".".join(map(str, first["loc"])), first["msg"]) from error


def _report_digest(report: Path | None) -> str | None:
    if report is None:
        return None
    return digest_of(read_small(report, limit_bytes=_REPORT_LIMIT_BYTES))


def source_of(its: Description, manifest: Manifest, claims: GoldenClaims) -> SourceModel:
    """Return the source model behind *manifest*."""
    return SourceModel(
        schema="1",
        name=its.name,
        version=its.version,
        digest=manifest.source_digest,
        licence=its.licence,
        opset=manifest.opset,
        ir_version=manifest.ir_version,
        training_data=its.origin.training_data,
        commit=its.origin.commit,
        parent=its.origin.parent,
        approver=its.origin.approver,
        golden_claims=claims,
    )


def _written(
    order: PackOrder, manifest: Manifest, files: dict[str, bytes], source: SourceModel
) -> Packed:
    order.out.mkdir(parents=True, exist_ok=True)
    stem = f"{manifest.name}-{manifest.version}"
    bundle = order.out / f"{stem}.bundle"
    digest = write_bundle(manifest, files, key=order.key, to=bundle)
    with _named(order.out / f"{stem}.source.json") as file:
        publish(file, source.to_bytes(), mode=0o644)
    return Packed(
        bundle=bundle,
        digest=digest,
        manifest=manifest,
        source=file,
    )


def write_bundle(manifest: Manifest, files: dict[str, bytes], *, key: SigningKey, to: Path) -> str:
    """Write a bundle to *to*, whole or not at all; return its digest.

    Raises:
        ArchiveError: It would be too large.
        OSError: The folder refuses it; what lay there before lies there still.
    """
    coming = to.with_name(f".{to.name}.tmp")
    with _named(to):
        try:
            digest = pack(manifest=manifest, files=files, key=key, to=coming)
            coming.replace(to)
        finally:
            coming.unlink(missing_ok=True)
    return digest


@contextmanager
def _named(file: Path) -> Iterator[Path]:
    """Let what the disk refuses say the *file* that it was for: a write that fails does not."""
    try:
        yield file
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(file)) from error


def _input(header: Header) -> ModelInput:
    if len(header.inputs) != 1:
        raise OnnxFileError(f"a model must have one input, got {len(header.inputs)}")
    its = header.inputs[0]
    if its.element not in ("uint8", "float32"):
        raise OnnxFileError(f"input {its.name}: must be uint8 or float32, got {its.element}")
    if len(its.shape) != 4 or its.shape[:2] != (1, 3) or not all(its.shape):
        raise OnnxFileError(
            f"input {its.name}: must be [1, 3, height, width], all fixed, got {list(its.shape)}"
        )
    return ModelInput.model_validate(
        {"name": its.name, "dtype": its.element, "shape": its.shape}, strict=True
    )


def _require_known(its: Description, matrix: CompatibilityMatrix, file: str) -> None:
    """A class that no station has would only be noticed where the bundle is to be released."""
    if its.device_class not in matrix.classes:
        known = ", ".join(matrix.classes)
        rule = f"must be one of {known}, got {its.device_class!r}"
        raise DescriptionError(file, "device_class", rule)


def _require_fitting(header: Header, its: Description, file: str) -> None:
    if (header.inputs[0].element == "uint8") != (its.preprocessing.scale == "in_graph"):
        rule = 'must be "in_graph" for, and only for, uint8 input'
        raise DescriptionError(file, "preprocessing.scale", rule)
    found = {each.name for each in header.outputs}
    for field, name in (("score", its.outputs.score), ("class_scores", its.outputs.class_scores)):
        if name not in found:
            raise DescriptionError(
                file, f"outputs.{field}", f"must be an output of the model: {sorted(found)}"
            )
