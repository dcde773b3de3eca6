"""`add`, `promote`, `revoke` and `floor`: models on their way to the stations and back."""

import argparse
from pathlib import Path

from taktgate.bundle.compatibility import CompatibilityMatrix
from taktgate.bundle.signing import TrustedKeys
from taktgate.bundle.source import SOURCE_LIMIT_BYTES, SourceModel
from taktgate.bundle.targets import BundleFacts, ReleaseState
from taktgate.registry.commands.opened import publisher
from taktgate.registry.commands.output import Result, progress
from taktgate.registry.signed.admission import admitted, require_source
from taktgate.registry.signed.publishing import Publisher
from taktgate.registry.signed.reports import LIMIT_BYTES, Report


def add(arguments: argparse.Namespace) -> Result:
    """Add bundles, or a source model, or both."""
    if bool(arguments.source) != bool(arguments.onnx):
        raise ValueError("--source and --onnx: both or neither")
    if not arguments.bundles and not arguments.source:
        raise ValueError("BUNDLE, or --source and --onnx: must be given")
    its = publisher(arguments)
    source = _add_source(its, arguments) if arguments.source else None
    facts = []
    if arguments.bundles:
        keys = TrustedKeys.load(arguments.trusted_keys)
        matrix = CompatibilityMatrix.load(arguments.matrix)
        facts = [_add_bundle(its, path, keys, matrix) for path in arguments.bundles]
    lines = [f"source {source.name} {source.version}"] if source else []
    document = {
        "source": source and {"name": source.name, "version": source.version},
        "bundles": [_document(its) for its in facts],
    }
    return Result(document=document, lines=[*lines, *map(_line, facts)])


def promote(arguments: argparse.Namespace) -> Result:
    """Move a bundle one step up."""
    to = ReleaseState(arguments.to)
    for option, state in (("ci_report", "ci_passed"), ("hil_report", "hil_passed")):
        if getattr(arguments, option) and arguments.to != state:
            raise ValueError(f"--{option.replace('_', '-')}: goes with --to {state}")
    if arguments.waive_hil and to is not ReleaseState.RELEASED:
        raise ValueError("--waive-hil: goes with --to released")
    file = arguments.ci_report or arguments.hil_report
    report = Report.parse(_beginning(file, LIMIT_BYTES)) if file else None
    return _changed(
        publisher(arguments).promote(
            arguments.name,
            arguments.version,
            arguments.device_class,
            to,
            waiver=arguments.waive_hil,
            report=report,
        )
    )


def revoke(arguments: argparse.Namespace) -> Result:
    """Take a bundle back."""
    named = (arguments.name, arguments.version, arguments.device_class)
    return _changed(publisher(arguments).revoke(*named, note=arguments.reason))


def floor(arguments: argparse.Namespace) -> Result:
    """Make a bundle the oldest that stations may run."""
    named = (arguments.name, arguments.version, arguments.device_class)
    below = publisher(arguments).floor(*named)
    lines = list(map(_line, below)) or ["nothing older was there"]
    return Result(document={"below": [_document(facts) for facts in below]}, lines=lines)


def _add_source(its: Publisher, arguments: argparse.Namespace) -> SourceModel:
    source = SourceModel.parse(_beginning(arguments.source, SOURCE_LIMIT_BYTES))
    model = require_source(source, arguments.onnx)
    its.add_source(source, model)
    return source


def _add_bundle(
    its: Publisher, path: Path, keys: TrustedKeys, matrix: CompatibilityMatrix
) -> BundleFacts:
    progress(f"verifying {path.name}")
    with admitted(path, keys) as bundle:
        matrix.row(bundle.manifest.device_class)  # the first of a class makes its role, for good
        return its.add_bundle(bundle.archive, bundle.manifest, bundle.digest)


def _beginning(path: Path, limit_bytes: int) -> bytes:
    """Return the file's content, one byte more than the limit where it is longer."""
    with path.open("rb") as file:
        return file.read(limit_bytes + 1)


def _changed(facts: BundleFacts) -> Result:
    return Result(document=_document(facts), lines=[_line(facts)])


def _document(facts: BundleFacts) -> dict[str, object]:
    return facts.model_dump(mode="json", by_alias=True)


def _line(facts: BundleFacts) -> str:
    note = f"  ({facts.note})" if facts.note else ""
    named = f"{facts.name} {facts.version} for {facts.device_class}"
    return f"{named}: {facts.state}, HIL {facts.hil}, serial {facts.serial}{note}"
