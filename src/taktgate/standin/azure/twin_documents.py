"""Twin documents: merge patch, difference, and the limits by which IoT Edge checks a report.

The hub's own limits are in `iothub.twin_limits`.

Deliberately not shared with `taktgate.edge.hub_twins`: a mistake there must show up here.
"""

import copy
import json
import unicodedata
from collections.abc import Mapping
from typing import Any

from taktgate.standin.azure.errors import TwinLimitError
from taktgate.standin.azure.json_types import JsonObject

MAX_DOCUMENT_BYTES = 32 * 1024
MAX_DEPTH = 10
MAX_STRING_BYTES = 4096
MAX_NAME_BYTES = 1024
MIN_INTEGER, MAX_INTEGER = -(2**52), 2**52 - 1
FORBIDDEN_IN_NAMES = frozenset(".$#")


def merge(document: Mapping[str, Any], patch: Mapping[str, Any]) -> JsonObject:
    """Return *document* with *patch* merged in; a null deletes."""
    merged = dict(document)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, dict):
            current = merged.get(name)
            merged[name] = merge(current if isinstance(current, dict) else {}, value)
        else:
            merged[name] = _copied(value)
    return merged


def merge_patches(older: Mapping[str, Any], newer: Mapping[str, Any]) -> JsonObject:
    """Return one patch with the effect of *older* followed by *newer*: nulls are kept."""
    merged = dict(older)
    for name, value in newer.items():
        current = merged.get(name)
        if isinstance(value, dict) and isinstance(current, dict):
            merged[name] = merge_patches(current, value)
        else:
            merged[name] = _copied(value)
    return merged


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> JsonObject:
    """Return the patch that turns *old* into *new*; what *new* lacks becomes null."""
    patch: JsonObject = {name: None for name in old if name not in new}
    for name, value in new.items():
        current = old.get(name)
        if isinstance(value, dict) and isinstance(current, dict):
            if nested := difference(current, value):
                patch[name] = nested
        elif name not in old or current != value or type(current) is not type(value):
            patch[name] = _copied(value)
    return patch


def _copied(value: Any) -> Any:
    return copy.deepcopy(value) if isinstance(value, (dict, list)) else value


def check_limits(document: Mapping[str, Any], *, allow_edge_names: bool = False) -> None:
    """Check *document* against edgeHub's limits on one section of a twin.

    Args:
        document: Desired, reported or tags, or a patch of one of them.
        allow_edge_names: IoT Edge's own twins have names such as `$upstream` and `a/b`.

    Raises:
        TwinLimitError: One of the limits is broken.
    """
    size_bytes = len(json.dumps(document, separators=(",", ":")).encode())
    if size_bytes > MAX_DOCUMENT_BYTES:
        raise TwinLimitError(f"document has {size_bytes} bytes; rule: at most {MAX_DOCUMENT_BYTES}")
    _check_value(document, path="", depth=0, allow_edge_names=allow_edge_names)


def _check_value(value: Any, *, path: str, depth: int, allow_edge_names: bool) -> None:
    if isinstance(value, Mapping):
        if depth > MAX_DEPTH:
            raise TwinLimitError(f"{path or 'document'}: rule: at most {MAX_DEPTH} levels")
        for name, nested in value.items():
            _check_name(name, path=path, allow_edge_names=allow_edge_names)
            _check_value(
                nested,
                path=f"{path}.{name}" if path else name,
                depth=depth + 1,
                allow_edge_names=allow_edge_names,
            )
    elif isinstance(value, list):
        _check_array_content(value, path=path)
    elif isinstance(value, str) and _size_bytes(value, path) > MAX_STRING_BYTES:
        raise TwinLimitError(f"{path}: rule: strings of at most {MAX_STRING_BYTES} bytes")
    elif isinstance(value, int) and not MIN_INTEGER <= value <= MAX_INTEGER:
        raise TwinLimitError(f"{path}: rule: integers within {MIN_INTEGER}..{MAX_INTEGER}")


def _check_array_content(value: Any, *, path: str) -> None:
    """Find nulls in arrays at any depth, as Azure/iotedge ReportedPropertiesValidator.cs does."""
    if isinstance(value, list) and None in value:
        raise TwinLimitError(f"{path}: rule: no null in an array")
    for item in value.values() if isinstance(value, Mapping) else value:
        if isinstance(item, (Mapping, list)):
            _check_array_content(item, path=path)


def _check_name(name: str, *, path: str, allow_edge_names: bool) -> None:
    if _size_bytes(name, path) > MAX_NAME_BYTES:
        raise TwinLimitError(f"{path}: rule: names of at most {MAX_NAME_BYTES} bytes")
    if not allow_edge_names and any(map(_is_forbidden, name)):
        raise TwinLimitError(f"{path}: name {name!r}; rule: no '.', '$', '#' or space in names")


def _size_bytes(text: str, path: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        raise TwinLimitError(
            f"{path}: rule: Unicode text; half of a surrogate pair is none"
        ) from None


def _is_forbidden(character: str) -> bool:
    is_control = unicodedata.category(character) == "Cc"
    return character in FORBIDDEN_IN_NAMES or character.isspace() or is_control
