"""Damage to bytes, text and JSON: each function returns a changed copy."""

import copy
from collections.abc import Callable, Iterator
from random import Random
from typing import Any

BOUNDARIES = (b"\x00", b"\x7f", b"\x80", b"\xff", b"\xff\xff", b"\x80\x80\x80\x80\x01")
ODD_TEXT = (
    "",
    "'",
    '"',
    "''",
    "\x00",
    "\n",
    "\\",
    "ä",
    "\u2028",
    "\ud800",
    "٣",
    "🙂",
    "%",
    "..",
    "(" * 40,
    "9" * 400,
    "a" * 5000,
)
ODD_VALUES: tuple[Callable[[], Any], ...] = (
    lambda: None,
    lambda: True,
    lambda: 0,
    lambda: -1,
    lambda: 2**53,
    lambda: 2**70,
    lambda: 1e308,
    lambda: float("inf"),
    lambda: float("nan"),
    lambda: "",
    lambda: "x",
    lambda: "\ud800",
    lambda: "n" * 5000,
    lambda: [],
    lambda: {},
    lambda: [None],
    lambda: {"$version": -1},
    lambda: {"a.b": {"$c": None}},
    lambda: _nested(12),
    lambda: _nested(200),
)


def mutate_bytes(random: Random, data: bytes) -> bytes:
    """Flip, cut, double, insert or overwrite a piece of *data*."""
    at = random.randrange(len(data) + 1)
    until = min(len(data), at + random.choice((1, 1, 2, 4, 16)))
    piece = random.choice((random.choice(BOUNDARIES), random.randbytes(random.randint(1, 4))))
    match random.randrange(6):
        case 0:
            return (
                data[:at]
                + bytes(byte ^ (1 << random.randrange(8)) for byte in data[at:until])
                + (data[until:])
            )
        case 1:
            return data[:at]
        case 2:
            return data[:at] + data[until:]
        case 3:
            return data[:until] + data[at:]
        case 4:
            return data[:at] + piece + data[at:]
        case _:
            return data[:at] + piece + data[at + len(piece) :]


def mutate_text(random: Random, text: str, words: tuple[str, ...]) -> str:
    """Cut, double, move or insert a piece of *text*; insertions are *words* or odd ones."""
    at = random.randrange(len(text) + 1)
    until = min(len(text), at + random.choice((1, 1, 2, 5, 12)))
    match random.randrange(6):
        case 0:
            return text[:at] + text[until:]
        case 1:
            return text[:until] + text[at:]
        case 2:
            return text[:at] + random.choice(ODD_TEXT) + text[at:]
        case 3:
            return text[:at] + chr(random.randrange(0x20, 0x7F)) + text[at + 1 :]
        case 4:
            return text[:at]
        case _:
            return f"{text[:at]} {random.choice(words)} {text[at:]}"


def mutate_json(random: Random, value: Any) -> Any:
    """Replace, remove, rename or add something somewhere in *value*."""
    changed = copy.deepcopy(value)
    places = list(_containers(changed))
    if not places or random.random() < 0.05:
        return random.choice(ODD_VALUES)()
    _change(random, random.choice(places))
    return changed


def _change(random: Random, place: Any) -> None:
    if isinstance(place, list):
        place.insert(random.randrange(len(place) + 1), random.choice(ODD_VALUES)())
        return
    names = list(place)
    if not names or random.random() < 0.15:
        place[random.choice(("$x", "a.b", "", "x", "\ud800", "n" * 1100))] = random.choice(
            ODD_VALUES
        )()
        return
    name = random.choice(names)
    match random.randrange(5):
        case 0:
            del place[name]
        case 1:
            place[name + random.choice(("", " ", ".", "$", "X"))] = place.pop(name)
        case _:
            place[name] = random.choice(ODD_VALUES)()


def smaller_sequences(data: Any) -> Iterator[Any]:
    """Yield shorter forms of text, bytes, tuple or list: halves first, then without each piece."""
    size = len(data)
    step = size // 2
    while step:
        for at in range(0, size, step):
            yield data[:at] + data[at + step :]
        step //= 2


def _containers(value: Any) -> Iterator[Any]:
    if isinstance(value, (dict, list)):
        yield value
        for each in value.values() if isinstance(value, dict) else value:
            yield from _containers(each)


def _nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = {"a": value}
    return value
