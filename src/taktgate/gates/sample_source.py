"""What stands behind a sample model: the source.json beside its bundle."""

from __future__ import annotations

from taktgate.bundle.manifest import Manifest
from taktgate.bundle.source import SourceModel, TrainingData


def source_of(
    its: Manifest, *, commit: str, parent: str | None, approver: str, seed: int
) -> SourceModel:
    """Return the source model behind the portable bundle *its*, trained from *seed* on."""
    data = f"{its.golden_claims.dataset}, split train, seed {seed}"
    return SourceModel(
        schema="1",
        name=its.name,
        version=its.version,
        digest=its.source_digest,
        licence=its.licence,
        opset=its.opset,
        ir_version=its.ir_version,
        training_data=TrainingData(id=data, digest=None),
        commit=commit,
        parent=parent,
        approver=approver,
        golden_claims=its.golden_claims,
    )
