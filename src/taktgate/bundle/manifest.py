"""The manifest of a bundle: what the model is, how it is fed, where it draws the line, its proof.

Thresholds and preprocessing live here and nowhere else. The rule that uses them is
*pass if score < threshold*, so that a NaN never passes.

**Identity.** A bundle's digest is the SHA-256 of the very bytes of its manifest.json. The manifest
lists every other file by size and SHA-256, and a bundle may hold no other file, so whatever changes
in a bundle changes this digest or is refused. The signature is made over the same bytes and is not
part of the identity: a bundle signed anew with another key is the same bundle. What is digested is
the bytes as they lie there and not what a reader makes of them: nobody has to parse a manifest, or
to write it in just one way, before it knows whether it is the right one. `Manifest.to_bytes` is the
form in which *we* write it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Annotated, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from taktgate.bundle.errors import ManifestError

MANIFEST_LIMIT_BYTES = 1 << 20
BUNDLE_LIMIT_BYTES = 512 << 20
"""Of all files of a bundle together."""
NAME_PATTERN = r"^[a-z0-9][a-z0-9.-]{0,63}$"
FILE_PATTERN = r"^(model\.onnx|golden/[a-z0-9][a-z0-9_-]{0,63}\.png)$"

Sha256 = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Name = Annotated[str, Field(pattern=NAME_PATTERN)]
Share = Annotated[float, Field(ge=0.0, le=1.0)]
Count = Annotated[int, Field(ge=0, le=(1 << 53) - 1)]
"""Any reader of JSON gets these right (RFC 8259, section 6)."""
Text = Annotated[
    str,
    Field(
        max_length=500,
        pattern="^[^\\x00-\\x1f\\x7f-\\x9f\\u200b-\\u200f\\u2028-\\u202e\\u2060-\\u2069\\ufeff]*$",
    ),
]
"""Words for people: one line, nothing that steers a terminal or hides from an eye."""
TensorName = Annotated[str, Field(pattern=r"^[\x21-\x7e]{1,200}$")]
Document = TypeVar("Document", bound="Part")


class Part(BaseModel):
    """A piece of the manifest: unchangeable, without unknown fields, without silent conversion."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Toolchain(Part):
    """What made the model file."""

    exporter: Text
    torch: Text
    onnx: Text


ArtifactKind = Literal["onnx", "ort_optimized", "trt_engine"]
Precision = Literal["fp32", "fp16", "int8"]


class Compilation(Part):
    """What turned the source model into a file that runs with these very versions only.

    Attributes:
        ort: The ONNX Runtime that compiled it.
        machine: The processor, as `platform.machine()` names it.
        optimization: Level of ONNX Runtime's graph optimizations; "all" is bound to the processor.
        calibration_data: Digest of the data that a quantization was calibrated on.
    """

    ort: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    provider: Literal["CPUExecutionProvider", "CUDAExecutionProvider", "TensorrtExecutionProvider"]
    machine: Literal["x86_64", "aarch64"]
    optimization: Literal["basic", "extended", "all"]
    cuda: Text | None
    cudnn: Text | None
    tensorrt: Text | None
    calibration_data: Sha256 | None


class Artifact(Part):
    """What lies in model.onnx: the source model itself, or what was compiled from it.

    All kinds are ONNX files: an optimised one holds ONNX Runtime's own operators, a TensorRT engine
    is embedded in a node (https://onnxruntime.ai/docs/execution-providers/EP-Context-Design.html).
    """

    kind: ArtifactKind
    precision: Precision
    compilation: Compilation | None

    @model_validator(mode="after")
    def _compiled_says_by_what(self) -> Self:
        if (self.kind == "onnx") != (self.compilation is None):
            raise ValueError('compilation must be null for, and only for, the kind "onnx"')
        return self


PORTABLE = Artifact(kind="onnx", precision="fp32", compilation=None)
"""The source model itself: what a manifest without `artifact` means."""


class ModelInput(Part):
    """The one input of the model."""

    name: TensorName
    dtype: Literal["uint8", "float32"]
    shape: tuple[Literal[1], Literal[3], Annotated[int, Field(ge=1)], Annotated[int, Field(ge=1)]]


class Preprocessing(Part):
    """How a frame becomes the input.

    Attributes:
        resample: How a frame of another size is brought to width x height; "none" refuses it.
        channels: "grey_to_rgb" shows luminance on all three channels, "rgb" keeps colour.
        scale: "in_graph" hands uint8 over; a number hands float32 over, pixel times number.
    """

    width: Annotated[int, Field(ge=1, le=8192)]
    height: Annotated[int, Field(ge=1, le=8192)]
    resample: Literal["bilinear", "none"]
    channels: Literal["grey_to_rgb", "rgb"]
    scale: Literal["in_graph"] | Annotated[float, Field(gt=0.0)]


class ModelOutputs(Part):
    """Outputs by name: `score` is [1, 1], `class_scores` is [1, classes]."""

    score: TensorName
    class_scores: TensorName


class DefectClass(Part):
    """A class of defect, in the order of the class scores."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,63}$")]
    threshold: Share


class UncertainBand(Part):
    """Scores from low on and below high are NO_DECISION; low = high means no band."""

    low: Share
    high: Share


class GoldenItem(Part):
    """An image with the score that the model must give it.

    Attributes:
        id: File within the bundle ("golden/3.png") or the package ("images/cell0003.png").
        sha256: Digest of that file.
    """

    id: Annotated[str, Field(pattern=r"^(golden|images)/[a-z0-9][a-z0-9_-]{0,63}\.png$")]
    sha256: Sha256
    label: Literal["ok", "defective"]
    score: Share
    tolerance: Annotated[float, Field(gt=0.0, le=0.5)]


class GoldenSet(Part):
    """The images of the golden check; only the source "bundle" carries pixels."""

    source: Literal["bundle", "elpv-dataset"]
    items: Annotated[tuple[GoldenItem, ...], Field(min_length=1, max_length=1000)]


class Interval(Part):
    """A share with its 95 % interval."""

    value: Share
    low: Share
    high: Share

    @model_validator(mode="after")
    def _holds_its_value(self) -> Self:
        if not self.low <= self.value <= self.high:
            raise ValueError("an interval must hold its value: low <= value <= high")
        return self


class GoldenClaims(Part):
    """What the model did on images that neither training nor tuning had seen."""

    dataset: Text
    dataset_licence: Text
    split_method: Text
    interval_method: Text
    n_ok: Count
    n_defective: Count
    recall: Interval
    false_reject_rate: Interval
    precision: Interval


class LatencyClaims(Part):
    """Time of one `session.run`, in milliseconds, and on what it was measured."""

    p50_ms: Annotated[float, Field(gt=0.0)]
    p95_ms: Annotated[float, Field(gt=0.0)]
    p99_ms: Annotated[float, Field(gt=0.0)]
    n: Annotated[Count, Field(ge=1)]
    machine: Text

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if not self.p50_ms <= self.p95_ms <= self.p99_ms:
            raise ValueError("latency must rise: p50_ms <= p95_ms <= p99_ms")
        return self


class BundleFile(Part):
    """Size and digest of a file beside the manifest."""

    path: Annotated[str, Field(pattern=FILE_PATTERN)]
    size_bytes: Annotated[int, Field(ge=0, le=BUNDLE_LIMIT_BYTES)]
    sha256: Sha256


class Manifest(Part):
    """Everything a device must know to run a model and to trust it.

    Attributes:
        source_digest: Of the trained ONNX file, whatever the artifact is: the link to source.json.
        hil_report_digest: Of the file of the report that hardware-in-the-loop wrote about this very
            model file, None where the report came after the bundle was signed. Then it is the
            registry that binds the two, in its signed facts.
    """

    schema_version: Literal["1"] = Field(alias="schema")
    name: Name
    version: Name
    licence: Text
    source_digest: Sha256
    device_class: Name
    toolchain: Toolchain
    opset: Annotated[int, Field(ge=7, le=1000)]
    ir_version: Annotated[int, Field(ge=3, le=1000)]
    input: ModelInput
    preprocessing: Preprocessing
    outputs: ModelOutputs
    threshold: Share
    classes: Annotated[tuple[DefectClass, ...], Field(min_length=1, max_length=64)]
    uncertain_band: UncertainBand
    golden: GoldenSet
    golden_claims: GoldenClaims
    latency_claims: LatencyClaims
    hil_report_digest: Sha256 | None
    files: Annotated[tuple[BundleFile, ...], Field(min_length=1, max_length=1024)]
    artifact: Artifact = PORTABLE

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return the manifest in *data*.

        Raises:
            ManifestError: The bytes are no manifest, or a field breaks a rule; names both.
        """
        return parse_document(cls, data, limit_bytes=MANIFEST_LIMIT_BYTES)

    def to_bytes(self) -> bytes:
        """Return the bytes that are signed: keys sorted, two spaces, one newline at the end."""
        document = self.model_dump(mode="json", by_alias=True)
        if self.artifact == PORTABLE:
            del document["artifact"]  # what is not said has one form only
        return (json.dumps(document, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()

    @property
    def defect_names(self) -> tuple[str, ...]:
        """Return the names of the classes, in the order of the class scores."""
        return tuple(its.name for its in self.classes)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.input.shape[2:] != (self.preprocessing.height, self.preprocessing.width):
            raise ValueError(
                "input.shape must be [1, 3, preprocessing.height, preprocessing.width]"
            )
        if (self.input.dtype == "uint8") != (self.preprocessing.scale == "in_graph"):
            raise ValueError(
                'preprocessing.scale must be "in_graph" for, and only for, uint8 input'
            )
        if not self.uncertain_band.low <= self.threshold <= self.uncertain_band.high:
            raise ValueError("uncertain_band must hold the threshold: low <= threshold <= high")
        _require_unique("classes", [its.name for its in self.classes])
        _require_unique("golden.items", [its.id for its in self.golden.items])
        _require_unique("files", [its.path for its in self.files])
        self._files_fit()
        return self

    def _files_fit(self) -> None:
        if sum(its.size_bytes for its in self.files) > BUNDLE_LIMIT_BYTES:
            raise ValueError(f"files must be at most {BUNDLE_LIMIT_BYTES} bytes together")
        listed = {its.path: its.sha256 for its in self.files}
        if "model.onnx" not in listed:
            raise ValueError("files must list model.onnx")
        if self.artifact.kind == "onnx" and listed["model.onnx"] != self.source_digest:
            raise ValueError('source_digest must be that of model.onnx for the kind "onnx"')
        pixels = {path: digest for path, digest in listed.items() if path.startswith("golden/")}
        needed = {its.id: its.sha256 for its in self.golden.items}
        if pixels != (needed if self.golden.source == "bundle" else {}):
            raise ValueError(
                'files under golden/ must be exactly the golden.items of the source "bundle"'
            )


def parse_document(kind: type[Document], data: bytes, *, limit_bytes: int) -> Document:
    """Return the document of this *kind* in *data*, which nobody has vouched for yet.

    Raises:
        ManifestError: The bytes are too many or no JSON, or a field breaks a rule; names both.
    """
    if len(data) > limit_bytes:
        raise ManifestError("", f"must be at most {limit_bytes} bytes, got {len(data)}")
    try:
        json.loads(data, object_pairs_hook=_without_duplicates)
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ManifestError(".".join(map(str, first["loc"])), first["msg"]) from error
    except (ValueError, RecursionError) as error:
        raise ManifestError("", f"must be JSON in UTF-8: {error}") from error


def listed(files: Mapping[str, bytes]) -> tuple[BundleFile, ...]:
    """Return *files*, content by path, as a manifest lists them."""
    return tuple(
        BundleFile(path=path, size_bytes=len(data), sha256=digest_of(data))
        for path, data in sorted(files.items())
    )


def digest_of(data: bytes) -> str:
    """Return "sha256:" and the hex digest; of the manifest's bytes it is the bundle's digest."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def _require_unique(field: str, names: list[str]) -> None:
    if len(set(names)) != len(names):
        raise ValueError(f"{field} must not name one thing twice")


def _without_duplicates(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Refuse what two readers would read differently."""
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("an object names one key twice")
    return document
