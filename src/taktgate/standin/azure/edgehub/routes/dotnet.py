"""What .NET does with text and numbers, where Python does otherwise.

Microsoft's router counts a text in UTF-16 units, maps case letter by letter and reads numbers in
`NumberStyles.Any`; conditions can tell the difference.
"""

import math
import re

_NUMBER = re.compile(
    r"""[\t-\r\ ]*
    (?P<lead>[-+(]?(?:¤[\t-\r\ ]*)?|¤[\t-\r\ ]*(?:[-+(][\t-\r\ ]*)?)
    (?P<digits>[0-9][0-9,]*(?:\.[0-9]*)?|\.[0-9]+)
    (?P<exponent>[eE][-+]?[0-9]+)?
    (?P<tail>[\t-\r\ )¤+-]*)
    \x00*""",
    re.VERBOSE,
)
_INFINITIES = {"infinity": math.inf, "+infinity": math.inf, "-infinity": -math.inf}
# The invariant culture leaves these alone, and every letter whose other case is two letters.
_CASELESS = frozenset("\u0130\u0131")


def utf16(text: str) -> str:
    """Return *text* with one character for each UTF-16 unit, as .NET counts and orders them."""
    if text.isascii() or max(text) <= "\uffff":
        return text
    units = text.encode("utf-16-le", "surrogatepass")
    return "".join(chr(units[i] | units[i + 1] << 8) for i in range(0, len(units), 2))


def upper(text: str) -> str:
    """Return *text* as `ToUpperInvariant` does; equal results are equal under OrdinalIgnoreCase."""
    return text.upper() if text.isascii() else "".join(map(_upper_letter, text))


def lower(text: str) -> str:
    """Return *text* as `ToLowerInvariant` does."""
    return text.lower() if text.isascii() else "".join(map(_lower_letter, text))


def parse_number(text: str) -> float:
    """Read *text* as `double.TryParse` does in `NumberStyles.Any` and the invariant culture.

    So `1,000`, `(3)` (which is -3), `3-` and ` 1e5 ` are numbers; what is none gives NaN.
    """
    found = _NUMBER.fullmatch(text)
    if found is None:
        return _INFINITIES.get(text.strip().lower(), math.nan)
    lead, tail = found["lead"], found["tail"]
    is_signed = any(mark in lead for mark in "-+(")
    is_well_formed = (
        tail.count("+") + tail.count("-") <= (not is_signed)
        and tail.count(")") == lead.count("(")
        and tail.count("¤") <= (not lead.count("¤"))
    )
    if not is_well_formed:
        return math.nan
    number = float(found["digits"].replace(",", "") + (found["exponent"] or ""))
    return -number if "-" in lead + tail or "(" in lead else number


def order(left: float, right: float) -> int:
    """Return -1, 0 or 1 as `double.CompareTo` does: NaN equals itself and is below all others."""
    if left != left or right != right:
        return (right != right) - (left != left)
    return (left > right) - (left < right)


def _upper_letter(letter: str) -> str:
    if letter in _CASELESS:
        return letter
    mapped = letter.upper()
    if len(mapped) > 1:
        mapped = letter.title()
    return mapped if len(mapped) == 1 else letter


def _lower_letter(letter: str) -> str:
    return letter if letter in _CASELESS else letter.lower()
