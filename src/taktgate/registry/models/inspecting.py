"""Everything about a bundle, as values: what it says, and whether that may be believed. Pure."""

from __future__ import annotations

from typing import Any

from taktgate.registry.models.differences import Difference
from taktgate.registry.models.opening import OpenedBundle
from taktgate.registry.models.packing import Packed
from taktgate.registry.models.tracing import Generation, Line, Trace


def bundle_document(its: OpenedBundle) -> dict[str, Any]:
    """Return *its* facts as JSON values."""
    return {
        "file": str(its.path),
        "size_bytes": its.size_bytes,
        "digest": its.digest,
        "key_id": its.key_id,
        "verified": its.verified is not None,
        "reason": its.doubt.reason if its.doubt else None,
        "message": str(its.doubt) if its.doubt else None,
        "manifest": its.manifest.model_dump(mode="json", by_alias=True),
    }


def packed_document(its: Packed) -> dict[str, Any]:
    """Return what was written as JSON values."""
    return {
        "bundle": str(its.bundle),
        "source": str(its.source) if its.source else None,
        "digest": its.digest,
        "size_bytes": its.bundle.stat().st_size,
        "manifest": its.manifest.model_dump(mode="json", by_alias=True),
    }


def difference_document(its: Difference) -> dict[str, Any]:
    """Return one difference as JSON values."""
    return {"field": its.field, "before": its.before, "after": its.after, "note": its.note}


def trace_document(its: Trace, *, is_own_root: bool) -> dict[str, Any]:
    """Return a trace as JSON values."""
    return {
        "name": its.name,
        "version": its.version,
        "whole": its.is_whole,
        "trusted_root": "the registry's own" if is_own_root else "given",
        "artifacts": [_line(each) for each in its.lines],
    }


def _line(its: Line) -> dict[str, Any]:
    facts = its.facts.model_dump(mode="json", by_alias=True)
    return {"facts": facts, "ancestry": [_generation(each) for each in its.ancestry]}


def _generation(its: Generation) -> dict[str, Any]:
    source = its.source.model_dump(mode="json", by_alias=True) if its.source else None
    return {"name": its.name, "source": source, "hole": its.hole or None}
