"""From a portable bundle to the compiled artifact of one device class.

The compiled model must say of every golden image what its source says, within the tolerance, or it
is refused. What it is compiled for is a row of the compatibility matrix, and this machine must have
the very toolchain of that row: a graph that another version optimised is another model.
"""

from __future__ import annotations

import platform
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from taktgate.bundle import layout
from taktgate.bundle.compatibility import MatrixRow
from taktgate.bundle.golden import GoldenImage, load_golden
from taktgate.bundle.manifest import (
    Artifact,
    Compilation,
    GoldenClaims,
    GoldenItem,
    GoldenSet,
    Manifest,
    listed,
)
from taktgate.bundle.reading import read_listed
from taktgate.bundle.signing import SigningKey
from taktgate.bundle.verification import VerifiedBundle
from taktgate.registry.models import images, runtime
from taktgate.registry.models.description import TestImages
from taktgate.registry.models.errors import DisagreementError, ToolchainError
from taktgate.registry.models.measuring import Lines, Measured, Progress, deviation
from taktgate.registry.models.onnx_header import read_header
from taktgate.registry.models.packing import Packed, write_bundle

Level = Literal["basic", "extended", "all"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CompileOrder:
    """What to compile.

    Attributes:
        row: The device class.
        version: Of the artifact; a class has one bundle of a name and version.
        test: Labelled images to measure claims on; without, those of the source are carried on.
    """

    source: VerifiedBundle
    row: MatrixRow
    version: str
    level: Level
    key: SigningKey
    out: Path
    test: Path | None
    runs: int


def require_toolchain(row: MatrixRow) -> str:
    """Return the provider to compile with, the first of the row.

    Raises:
        ToolchainError: This machine has not what the row names; says both.
    """
    provider = row.execution_providers[0]
    here = f"ONNX Runtime {runtime.VERSION} with {', '.join(runtime.providers())}"
    fits = row.ort == runtime.VERSION and platform.machine() in row.arch
    if not fits or provider not in runtime.providers():
        named = {
            "CUDA": row.cuda,
            "cuDNN": row.cudnn,
            "TensorRT": row.tensorrt,
            "JetPack": row.jetpack,
        }
        needs = ", ".join(f"{name} {version}" for name, version in named.items() if version)
        raise ToolchainError(
            f"device class {row.device_class} is compiled on {' or '.join(row.arch)} with"
            f" ONNX Runtime {row.ort} ({row.ort_build}) and {provider}"
            f"{f', {needs}' if needs else ''}; this is {platform.machine()}, {here}"
        )
    return provider


def compile_model(order: CompileOrder, say: Progress) -> Packed:
    """Write the artifact that *order* asks for.

    Raises:
        ToolchainError: This machine cannot compile for that class.
        DisagreementError: The source is compiled itself, or the compiled model scores otherwise.
        ModelError: ONNX Runtime refused it.
        BundleError: The source has changed, or its golden images are not here.
        OSError: The folder cannot be written.
    """
    source = order.source.manifest
    _require_source(order)
    provider = require_toolchain(order.row)
    say(f"compiling for {order.row.device_class}: {provider}, level {order.level}")
    model = runtime.optimised(order.source.read_model(), level=order.level, provider=provider)
    header = read_header(model)
    measured = Measured(
        model,
        its_input=source.input,
        outputs=source.outputs,
        spec=source.preprocessing,
        lines=Lines(band=source.uncertain_band, classes=source.classes),
        provider=provider,
    )
    items = _compared(measured, load_golden(order.source), source, say)
    files = {
        its.path: read_listed(order.source.directory / its.path, its)
        for its in source.files
        if its.path != layout.MODEL
    }
    files[layout.MODEL] = model
    changes: dict[str, Any] = {
        "version": order.version,
        "device_class": order.row.device_class,
        "ir_version": header.ir_version,
        "opset": header.opset,
        "golden": GoldenSet(source=source.golden.source, items=items),
        "golden_claims": _claims(order, measured, say),
        "latency_claims": measured.latency(order.runs, None),
        "hil_report_digest": None,
        "files": listed(files),
        "artifact": _artifact(order, provider),
    }
    said = {name: value for name, value in source if name not in ("schema_version", *changes)}
    manifest = Manifest(schema=source.schema_version, **said, **changes)
    return _written(order, manifest, files)


def _require_source(order: CompileOrder) -> None:
    its = order.source.manifest
    if its.artifact.kind != "onnx":
        raise DisagreementError(
            f"{its.name} {its.version} is compiled already: start from its source"
        )
    if (order.version, order.row.device_class) == (its.version, its.device_class):
        raise DisagreementError(
            f"{its.name} {its.version} for {its.device_class} is the source itself:"
            " name another version or class"
        )


def _compared(
    measured: Measured, golden: tuple[GoldenImage, ...], source: Manifest, say: Progress
) -> tuple[GoldenItem, ...]:
    items, worst = [], 0.0
    for image, item in zip(golden, source.golden.items, strict=True):
        score = measured.scores_of(image.pixels, image.id).score
        off = deviation(score, item)
        if off > 1.0:
            raise DisagreementError(
                f"golden image {item.id}: the compiled model gives {score:.4f},"
                f" its source {item.score:.4f}, must be within {item.tolerance}"
            )
        worst = max(worst, off)
        items.append(item.model_copy(update={"score": round(score, 6)}))
    say(f"golden set: {len(items)} images, at most {worst:.1%} of the tolerance off")
    return tuple(items)


def _claims(order: CompileOrder, measured: Measured, say: Progress) -> GoldenClaims:
    said = order.source.manifest.golden_claims
    if order.test is None:
        method = f"{said.interval_method}; of the source model"
        return said.model_copy(update={"interval_method": method})
    test = TestImages(
        dataset=said.dataset, licence=said.dataset_licence, split_method=said.split_method
    )
    return measured.claims(images.find(order.test), test, say)


def _artifact(order: CompileOrder, provider: Any) -> Artifact:
    row = order.row
    is_engine = provider == runtime.TENSORRT
    return Artifact(
        kind="trt_engine" if is_engine else "ort_optimized",
        precision=order.source.manifest.artifact.precision,
        compilation=Compilation(
            ort=runtime.VERSION,
            provider=provider,
            machine=platform.machine(),  # type: ignore[arg-type]  # the row's arch holds it
            optimization=order.level,
            cuda=row.cuda,
            cudnn=row.cudnn,
            tensorrt=row.tensorrt if is_engine else None,
            calibration_data=None,
        ),
    )


def _written(order: CompileOrder, manifest: Manifest, files: dict[str, bytes]) -> Packed:
    order.out.mkdir(parents=True, exist_ok=True)
    name = f"{manifest.name}-{manifest.version}-{manifest.device_class}.bundle"
    digest = write_bundle(manifest, files, key=order.key, to=order.out / name)
    return Packed(bundle=order.out / name, digest=digest, manifest=manifest, source=None)
