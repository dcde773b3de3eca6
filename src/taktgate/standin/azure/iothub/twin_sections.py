"""One section of a twin, desired or reported: value, version, and when each field was written.

Source: learn.microsoft.com/azure/iot-hub/iot-hub-devguide-device-twins, "Device twin metadata".
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from taktgate.standin.azure import twin_documents
from taktgate.standin.azure.json_types import JsonObject

NEVER = "0001-01-01T00:00:00Z"


def timestamp(at: datetime) -> str:
    """Return a date as the hub writes it: UTC with seven digits of a second."""
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond:06d}0Z"


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinSection:
    """A section. Its parts are shared between versions of it, so nobody may change them."""

    value: JsonObject = field(default_factory=dict)
    metadata: JsonObject = field(default_factory=lambda: {"$lastUpdated": NEVER})
    version: int = 1

    def patched(
        self, patch: Mapping[str, Any], *, at: datetime, with_versions: bool
    ) -> "TwinSection":
        """Return the section with *patch* merged in; a null deletes.

        Args:
            patch: A merge patch without `$version` and `$metadata`.
            at: The time of the change.
            with_versions: Also stamp fields with the version that wrote them, as the hub does for
                desired properties.
        """
        version = self.version + 1
        stamp: JsonObject = {"$lastUpdated": timestamp(at)}
        if with_versions:
            stamp["$lastUpdatedVersion"] = version
        return TwinSection(
            value=twin_documents.merge(self.value, patch),
            metadata=_stamped(self.metadata, patch, stamp),
            version=version,
        )

    def document(self) -> JsonObject:
        """Return the section as the REST interface shows it."""
        return {**self.value, "$metadata": self.metadata, "$version": self.version}


def _stamped(
    metadata: Mapping[str, Any], patch: Mapping[str, Any], stamp: Mapping[str, Any]
) -> JsonObject:
    stamped = {**metadata, **stamp}
    for name, value in patch.items():
        if value is None:
            stamped.pop(name, None)
        elif isinstance(value, dict):
            stamped[name] = _stamped(metadata.get(name) or {}, value, stamp)
        else:
            stamped[name] = dict(stamp)
    return stamped
