"""A seeded bug: one mistake in the rules, which the model has to find."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from taktgate.standin.handshake_model.leads import Lead


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """One name of the rules that means something else while the bug is in."""

    owner: Any
    name: str
    wrong: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """A small mistake that a programmer may make.

    Attributes:
        name: In few words.
        forgot: What the programmer forgot.
        scenario: Where it shows.
        property: What it breaks there; the way that is found is the shortest to it.
    """

    name: str
    forgot: str
    scenario: str
    property: str
    patches: tuple[Patch, ...]
    lead: Lead = ()
    """Where the search begins: a bug that shows late is not looked for at large every time."""


@contextmanager
def seeded(bug: Bug) -> Iterator[None]:
    """Have the rules of this process be wrong as *bug* says, until the block ends."""
    right = [(patch, vars(patch.owner)[patch.name]) for patch in bug.patches]
    try:
        for patch in bug.patches:
            setattr(patch.owner, patch.name, patch.wrong)
        yield
    finally:
        for patch, value in right:
            setattr(patch.owner, patch.name, value)
