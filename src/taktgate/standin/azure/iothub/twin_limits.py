"""The hub's limits on tags, desired and reported properties.

Source: learn.microsoft.com/azure/iot-hub/iot-hub-devguide-device-twins, "Tags and properties
format" and "Device twin size": keys count by their characters, strings too, numbers eight bytes,
Booleans four, objects by what they hold. edgeHub and edgeAgent check what is reported through them
by rules of their own first (`twin_documents.check_limits`).
"""

from collections.abc import Mapping
from typing import Any

from taktgate.standin.azure.errors import TwinLimitError

MAX_TAGS_BYTES = 8 * 1024
MAX_PROPERTIES_BYTES = 32 * 1024
MAX_DEPTH = 10
MAX_STRING_BYTES = 4096
MAX_KEY_BYTES = 1024
MIN_INTEGER, MAX_INTEGER = -(2**52), 2**52 - 1
NUMBER_BYTES, BOOL_BYTES = 8, 4
_FORBIDDEN_IN_KEYS = frozenset(".$# ")


def check_patch(patch: Mapping[str, Any], section: str, *, has_free_keys: bool = False) -> None:
    """Check what a request wants to write into *section*; a null stands for a deletion.

    Args:
        patch: A merge patch of the section, or all of it.
        section: Its name, for the message.
        has_free_keys: True for the twins of IoT Edge itself: edgeHub reports its clients under
            `device/module`, and a device id may hold a dot.

    Raises:
        TwinLimitError: A key, a value or the depth breaks a rule.
    """
    _check_object(patch, section, depth=1, has_free_keys=has_free_keys)


def check_size(value: Mapping[str, Any], section: str) -> None:
    """Check the size of a whole section.

    Raises:
        TwinLimitError: It is too large.
    """
    limit = MAX_TAGS_BYTES if section == "tags" else MAX_PROPERTIES_BYTES
    size = size_of(value)
    if size > limit:
        raise TwinLimitError(f"{section} has {size} bytes; rule: at most {limit}")


def size_of(value: Any) -> int:
    """Return how many bytes the hub counts for *value*."""
    if isinstance(value, str):
        return _text_size(value)
    if isinstance(value, dict):
        return sum(_text_size(key) + size_of(nested) for key, nested in value.items())
    if isinstance(value, list):
        return sum(size_of(each) for each in value)
    if isinstance(value, bool):
        return BOOL_BYTES
    if isinstance(value, (int, float)):
        return NUMBER_BYTES
    return 0


def _text_size(text: str) -> int:
    if text.isascii() and text.isprintable():
        return len(text)
    return sum(len(each.encode()) for each in text if not _is_control(each))


def _is_control(character: str) -> bool:
    """Tell whether a character is of the segments C0 and C1."""
    return character <= "\x1f" or "\x7f" <= character <= "\x9f"


def _check_object(value: Mapping[str, Any], path: str, *, depth: int, has_free_keys: bool) -> None:
    # The section itself is not counted: ten objects may be nested below `tags`.
    if depth > MAX_DEPTH + 1:
        raise TwinLimitError(f"{path}; rule: at most {MAX_DEPTH} levels of objects")
    for key, nested in value.items():
        if not has_free_keys:
            _check_key(key, path)
        _check_value(nested, f"{path}.{key}", depth=depth, has_free_keys=has_free_keys)


def _check_value(value: Any, path: str, *, depth: int, has_free_keys: bool) -> None:
    if isinstance(value, dict):
        _check_object(value, path, depth=depth + 1, has_free_keys=has_free_keys)
    elif isinstance(value, list):
        _check_array(value, path, depth=depth, has_free_keys=has_free_keys)
    elif isinstance(value, str):
        if len(value) > MAX_STRING_BYTES or len(value.encode()) > MAX_STRING_BYTES:
            raise TwinLimitError(f"{path}; rule: strings of at most {MAX_STRING_BYTES} bytes")
    elif isinstance(value, int) and not MIN_INTEGER <= value <= MAX_INTEGER:
        raise TwinLimitError(f"{path}; rule: integers within {MIN_INTEGER}..{MAX_INTEGER}")


def _check_array(values: list[Any], path: str, *, depth: int, has_free_keys: bool) -> None:
    if depth > MAX_DEPTH + 1:
        raise TwinLimitError(f"{path}; rule: at most {MAX_DEPTH} levels of objects")
    for index, value in enumerate(values):
        if value is None:
            raise TwinLimitError(f"{path}[{index}]; rule: no null in an array")
        _check_value(value, f"{path}[{index}]", depth=depth + 1, has_free_keys=has_free_keys)


def _check_key(key: str, path: str) -> None:
    if len(key.encode()) > MAX_KEY_BYTES:
        raise TwinLimitError(f"{path}; rule: keys of at most {MAX_KEY_BYTES} bytes")
    if _FORBIDDEN_IN_KEYS.intersection(key) or any(map(_is_control, key)):
        raise TwinLimitError(
            f"{path}: key {key!r}; rule: no '.', '$', '#', space or control character in keys"
        )
