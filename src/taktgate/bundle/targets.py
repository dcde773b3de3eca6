"""What the registry says of its targets: their paths, whose key signs them, and the signed facts.

The registry is a TUF repository (https://theupdateframework.github.io/specification/latest/). Its
publisher and the stations meet here. Facts lie in the `custom` field of a target, so that a station
can refuse a bundle before it downloads a byte of it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, ValidationError

from taktgate.bundle.errors import FactsError
from taktgate.bundle.manifest import (
    ArtifactKind,
    Count,
    Manifest,
    Name,
    Part,
    Precision,
    Sha256,
    Text,
)

CUSTOM_KEY: Final = "taktgate"
SOURCES_ROLE: Final = "sources"
ROLE_LIMIT_BYTES: Final = 5_000_000
"""Of a targets role's metadata: so much a station reads, some 8,000 bundles of a class."""
_CLASS_ROLE: Final = "class."


class ReleaseState(StrEnum):
    """How far a bundle got on its way to the stations."""

    REGISTERED = "registered"
    CI_PASSED = "ci_passed"
    HIL_PASSED = "hil_passed"
    RELEASED = "released"
    """The only state in which a station takes it."""
    REVOKED = "revoked"
    """Taken back; `note` says why."""
    BELOW_FLOOR = "below_floor"
    """Older than the oldest that stations may still run."""


class HilStatus(StrEnum):
    """What hardware-in-the-loop has shown."""

    MISSING = "missing"
    PASSED = "passed"
    WAIVED = "waived"
    """Released without; `note` says who and why."""


class BundleFacts(Part):
    """The signed facts of one bundle in the registry.

    Attributes:
        digest: The bundle's identity: the digest of its manifest.json.
        ort: The only ONNX Runtime version a compiled artifact runs with; None for a portable one.
        unpacked_bytes: Room that its files take in a slot.
        serial: Rises with every bundle added for this name and class; the floor compares it.
        hil_report: Digest of the report behind `hil`.
        ci_report: Digest of the report behind CI_PASSED, where there is one.
        note: Why it was revoked, or HIL waived.
    """

    schema_version: Literal["1"] = Field(alias="schema", default="1")
    digest: Sha256
    name: Name
    version: Name
    device_class: Name
    source_digest: Sha256
    kind: ArtifactKind
    precision: Precision
    ort: str | None
    opset: Annotated[int, Field(ge=1)]
    ir_version: Annotated[int, Field(ge=1)]
    unpacked_bytes: Count
    serial: Count
    state: ReleaseState = ReleaseState.REGISTERED
    hil: HilStatus = HilStatus.MISSING
    hil_report: Sha256 | None = None
    ci_report: Sha256 | None = None
    note: Text = ""

    @classmethod
    def of(cls, manifest: Manifest, *, digest: str, serial: int) -> Self:
        """Return the facts of a bundle that is new in the registry."""
        compilation = manifest.artifact.compilation
        return cls(
            digest=digest,
            name=manifest.name,
            version=manifest.version,
            device_class=manifest.device_class,
            source_digest=manifest.source_digest,
            kind=manifest.artifact.kind,
            precision=manifest.artifact.precision,
            ort=compilation.ort if compilation else None,
            opset=manifest.opset,
            ir_version=manifest.ir_version,
            unpacked_bytes=sum(its.size_bytes for its in manifest.files),
            serial=serial,
            hil_report=manifest.hil_report_digest,
        )

    @classmethod
    def from_custom(cls, custom: Mapping[str, Any] | None) -> Self:
        """Return the facts in the `custom` field of a target.

        Raises:
            FactsError: there are none, or a field breaks a rule; names both.
        """
        if custom is None or CUSTOM_KEY not in custom:
            raise FactsError(CUSTOM_KEY, "the target must carry facts in its custom field")
        try:
            return cls.model_validate_json(json.dumps(custom[CUSTOM_KEY]))
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            raise FactsError(".".join(map(str, first["loc"])), first["msg"]) from error

    def to_custom(self) -> dict[str, Any]:
        """Return the `custom` field of a target with these facts."""
        document = self.model_dump(mode="json", by_alias=True)
        if self.ci_report is None:
            del document["ci_report"]  # a station that does not know the field knows the rest
        return {CUSTOM_KEY: document}


def bundle_path(name: str, version: str, device_class: str) -> str:
    """Return the target path of a bundle."""
    return f"bundles/{name}/{version}/{device_class}.bundle"


def report_path(device_class: str, digest: str) -> str:
    """Return the target path of the CI or HIL report with *digest* ("sha256:...")."""
    return f"reports/{device_class}/{digest.partition(':')[2]}.json"


def source_path(name: str, version: str, file: Literal["source.json", "model.onnx"]) -> str:
    """Return the target path of a file of the source model *name* *version*."""
    return f"sources/{name}/{version}/{file}"


def class_role(device_class: str) -> str:
    """Return the delegated role that signs what is for *device_class*."""
    return f"{_CLASS_ROLE}{device_class}"


def class_patterns(device_class: str) -> list[str]:
    """Return the target paths that the role of *device_class* may sign, as TUF patterns."""
    return [f"bundles/*/*/{device_class}.bundle", f"reports/{device_class}/*.json"]


SOURCES_PATTERNS: Final = ["sources/*/*/*"]
