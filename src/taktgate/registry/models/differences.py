"""What differs between two bundles, in meaning. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from taktgate.bundle import layout
from taktgate.bundle.manifest import Interval, Manifest

_APART: Final = frozenset({"golden", "golden_claims", "files", "classes"})
"""What is compared by its own rule; everything else field by field."""
_SHARES: Final = ("recall", "false_reject_rate", "precision")


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One thing that is not the same.

    Attributes:
        before: None where the first bundle has no such thing.
        after: None where the second has none.
        note: What it means, where that is not plain.
    """

    field: str
    before: Any
    after: Any
    note: str = ""


def differences(before: Manifest, after: Manifest) -> tuple[Difference, ...]:
    """Return what differs from *before* to *after*; nothing if the two mean the same."""
    return (
        *_fields(before, after),
        *_classes(before, after),
        *_claims(before, after),
        *_golden(before, after),
        *_model(before, after),
    )


def _fields(before: Manifest, after: Manifest) -> Iterator[Difference]:
    old, new = (_flat(its.model_dump(mode="json", by_alias=True)) for its in (before, after))
    for field in sorted({*old, *new}):
        if old.get(field) != new.get(field):
            yield Difference(field=field, before=old.get(field), after=new.get(field))


def _flat(document: dict[str, Any], above: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in document.items():
        if not above and name in _APART:
            continue
        if isinstance(value, dict):
            flat |= _flat(value, f"{above}{name}.")
        else:
            flat[f"{above}{name}"] = value
    return flat


def _classes(before: Manifest, after: Manifest) -> Iterator[Difference]:
    old, new = ({its.name: its.threshold for its in each.classes} for each in (before, after))
    for name in sorted({*old, *new}):
        if old.get(name) != new.get(name):
            yield Difference(field=f"classes.{name}", before=old.get(name), after=new.get(name))
    if before.defect_names != after.defect_names and set(old) == set(new):
        yield Difference(
            field="classes",
            before=list(before.defect_names),
            after=list(after.defect_names),
            note="the order of the class scores",
        )


def _claims(before: Manifest, after: Manifest) -> Iterator[Difference]:
    for field in sorted({*type(before.golden_claims).model_fields} - {*_SHARES}):
        old, new = getattr(before.golden_claims, field), getattr(after.golden_claims, field)
        if old != new:
            yield Difference(field=f"golden_claims.{field}", before=old, after=new)
    for field in _SHARES:
        was: Interval = getattr(before.golden_claims, field)
        now: Interval = getattr(after.golden_claims, field)
        if was != now:
            yield Difference(
                field=f"golden_claims.{field}",
                before=was.model_dump(),
                after=now.model_dump(),
                note="intervals overlap: no difference is shown"
                if was.low <= now.high and now.low <= was.high
                else "intervals are apart",
            )


def _golden(before: Manifest, after: Manifest) -> Iterator[Difference]:
    if before.golden.source != after.golden.source:
        yield Difference(
            field="golden.source", before=before.golden.source, after=after.golden.source
        )
    old, new = ({its.id: its for its in each.golden.items} for each in (before, after))
    for name in sorted({*old, *new}):
        was, now = old.get(name), new.get(name)
        if was != now:
            yield Difference(
                field=name,
                before=was and was.model_dump(exclude={"id"}),
                after=now and now.model_dump(exclude={"id"}),
            )


def _model(before: Manifest, after: Manifest) -> Iterator[Difference]:
    old, new = (
        next(its for its in each.files if its.path == layout.MODEL) for each in (before, after)
    )
    if old.sha256 != new.sha256:
        yield Difference(field="model.sha256", before=old.sha256, after=new.sha256)
    if old.size_bytes != new.size_bytes:
        share = (new.size_bytes - old.size_bytes) / max(1, old.size_bytes)
        yield Difference(
            field="model.size_bytes",
            before=old.size_bytes,
            after=new.size_bytes,
            note=f"{share:+.1%}",
        )
