"""JSON as Azure's services take it. Python's reader is more generous."""

import json
from typing import Any


def parse(raw: bytes) -> Any:
    """Return *raw* as JSON that can be written again as UTF-8.

    Raises:
        ValueError: It is no JSON, nested too deep, or holds NaN, a number beyond all floats, or
            half of a surrogate pair.
    """
    try:
        document = json.loads(raw, parse_constant=_refuse_constant, parse_float=_finite)
        if b"\\ud" in raw.lower():
            # An escape may name half a character.
            json.dumps(document, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deep") from None
    return document


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError(f"{text} is too large")
    return number
