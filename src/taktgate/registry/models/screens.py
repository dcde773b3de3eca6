"""Bundles, differences and traces on a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from rich.box import SIMPLE_HEAD
from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from taktgate.bundle import layout
from taktgate.bundle.manifest import GoldenClaims, Interval, Manifest
from taktgate.registry.models.differences import Difference
from taktgate.registry.models.opening import OpenedBundle
from taktgate.registry.models.tracing import Generation, Line, Trace

WIDTH: Final = 100
_BAR: Final = 24
_DIGEST_SHOWN: Final = 19


def show(screen: RenderableType) -> None:
    """Print *screen*: colours on a terminal, plain text of one width elsewhere."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=WIDTH)
    console.print(screen, markup=False, soft_wrap=False)


def bundle_screen(its: OpenedBundle) -> RenderableType:
    """Return everything about a bundle; whether it is verified comes first."""
    manifest = its.manifest
    if its.verified is not None:
        state = Text(f"VERIFIED      signed by {its.key_id[:24]}..., every file as listed", "green")
    else:
        state = Text(f"NOT VERIFIED  {its.doubt.reason if its.doubt else ''}: {its.doubt}", "red")
    return Group(state, _facts(its), _claims(manifest.golden_claims), _golden(manifest))


def claims_screen(claims: GoldenClaims) -> RenderableType:
    """Return what a model did on images it never saw."""
    return _claims(claims)


def differences_screen(found: Sequence[Difference]) -> RenderableType:
    """Return a table of what differs."""
    if not found:
        return Text("no difference in meaning")
    table = _table("field", "before", "after", "note")
    for each in found:
        table.add_row(each.field, _short(each.before), _short(each.after), each.note)
    return table


def trace_screen(its: Trace, *, is_own_root: bool) -> RenderableType:
    """Return the chain as a tree."""
    tree = Tree(Text(f"{its.name} {its.version}", "bold"))
    for line in its.lines:
        branch = tree.add(_artifact(line))
        for generation in line.ancestry:
            branch = branch.add(_source(generation))
    trust = (
        "the registry's own root: whole, but not shown to be yours" if is_own_root else "verified"
    )
    return Group(tree, Text(f"metadata: {trust}"))


def _facts(its: OpenedBundle) -> Table:
    manifest, grid = its.manifest, Table.grid(padding=(0, 2))
    model = next(each for each in manifest.files if each.path == layout.MODEL)
    latency, band = manifest.latency_claims, manifest.uncertain_band
    spec = manifest.preprocessing
    rows = {
        "name, version": f"{manifest.name} {manifest.version}, for {manifest.device_class}",
        "digest": its.digest,
        "source": "the model itself"
        if manifest.artifact.kind == "onnx"
        else manifest.source_digest,
        "artifact": _artifact_words(manifest),
        "model": f"{model.size_bytes} bytes, opset {manifest.opset}, IR {manifest.ir_version}",
        "toolchain": ", ".join(manifest.toolchain.model_dump().values()),
        "input": f"{manifest.input.name} {manifest.input.dtype} {list(manifest.input.shape)}",
        "preprocessing": f"{spec.resample}, {spec.channels}, scale {spec.scale}",
        "line": f"pass below {band.low}, uncertain to {band.high}, threshold {manifest.threshold}",
        "classes": ", ".join(f"{each.name} {each.threshold}" for each in manifest.classes),
        "latency": f"p50 {latency.p50_ms} p95 {latency.p95_ms} p99 {latency.p99_ms} ms,"
        f" n = {latency.n} ({latency.machine})",
        "HIL report": manifest.hil_report_digest or "none",
        "licence": manifest.licence,
        "archive": f"{its.size_bytes} bytes, {len(manifest.files)} files",
    }
    for name, value in rows.items():
        grid.add_row(Text(name, "bold"), Text(value))
    return grid


def _artifact_words(manifest: Manifest) -> str:
    artifact, by = manifest.artifact, manifest.artifact.compilation
    if by is None:
        return f"portable ONNX, {artifact.precision}"
    return (
        f"{artifact.kind}, {artifact.precision}, level {by.optimization}:"
        f" runs with ONNX Runtime {by.ort} on {by.machine}, {by.provider} only"
    )


def _claims(claims: GoldenClaims) -> Table:
    table = _table("claim", "value", "95 % interval", "0 ... 100 %")
    table.title = f"on {claims.n_ok} ok and {claims.n_defective} defective of {claims.dataset}"
    table.caption = claims.interval_method
    for field in ("recall", "false_reject_rate", "precision"):
        its: Interval = getattr(claims, field)
        name = field.replace("_", " ")
        table.add_row(name, f"{its.value:.1%}", f"{its.low:.1%} - {its.high:.1%}", _bar(its))
    return table


def _bar(its: Interval) -> str:
    low, high = (round(share * (_BAR - 1)) for share in (its.low, its.high))
    at = round(its.value * (_BAR - 1))
    return "".join("|" if i == at else "-" if low <= i <= high else "." for i in range(_BAR))


def _golden(manifest: Manifest) -> Table:
    table = _table("golden image", "label", "score", "within")
    for each in manifest.golden.items:
        table.add_row(each.id, each.label, f"{each.score:.4f}", f"{each.tolerance}")
    return table


def _artifact(line: Line) -> Text:
    facts = line.facts
    by = f" with ONNX Runtime {facts.ort}" if facts.ort else ""
    report = f", report {facts.hil_report[:_DIGEST_SHOWN]}..." if facts.hil_report else ""
    note = f" ({facts.note})" if facts.note else ""
    return Text(
        f"{facts.device_class}: {facts.kind} {facts.precision}{by}, {facts.state},"
        f" serial {facts.serial}\n  {facts.digest}\n  HIL {facts.hil}{report}{note}"
    )


def _source(its: Generation) -> Text:
    if its.source is None:
        return Text(f"{its.name}\n  {its.hole}", "red")
    source = its.source
    claims = source.golden_claims
    said = f"\n  recall {claims.recall.value:.1%}" if claims else ""
    if claims:
        said += f" [{claims.recall.low:.1%} - {claims.recall.high:.1%}]"
        said += f", false rejects {claims.false_reject_rate.value:.1%}"
    return Text(
        f"source {its.name}, commit {source.commit}, approved by {source.approver}\n"
        f"  {source.digest}\n  data {source.training_data.id}{said}"
    )


def _table(*columns: str) -> Table:
    table = Table(box=SIMPLE_HEAD, pad_edge=False, title_justify="left", caption_justify="left")
    table.add_column(columns[0], no_wrap=True)
    for column in columns[1:]:
        table.add_column(column, overflow="fold")
    return table


def _short(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, dict) and {"low", "high", "value"} <= value.keys():
        return f"{value['value']:.1%} [{value['low']:.1%} - {value['high']:.1%}]"
    if isinstance(value, dict) and "score" in value:
        return f"{value['label']} {value['score']:.4f}"
    if isinstance(value, str) and value.startswith("sha256:"):
        return f"{value[:_DIGEST_SHOWN]}..."
    return str(value)
