"""The JSON documents that cross the borders of the local Azure."""

from typing import Any, TypeAlias

JsonObject: TypeAlias = dict[str, Any]
