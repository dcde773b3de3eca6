"""An order that lets a model fail on light devices, as a bad one would in a plant."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from taktgate.contracts.codec import STRICT_DOCUMENT
from taktgate.standin.azure.errors import QuirkError
from taktgate.standin.azure.fleet.faults import Fault, FaultKind

if TYPE_CHECKING:  # a command to a running world must not load a whole world
    from taktgate.standin.azure.fleet.fleet import Fleet


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultOrder:
    """What goes wrong from now on: for any version, all devices and a share of 1 unless given."""

    __pydantic_config__ = STRICT_DOCUMENT

    kind: FaultKind | None = None
    version: str | None = None
    share: Annotated[float, Field(ge=0, le=1)] = 1.0
    device: str | None = None
    """A name, or a pattern with `*` and `?`."""
    off: bool = False
    """Take back the faults of this kind, or of every kind."""


def order_fault(fleets: Sequence["Fleet"], order: FaultOrder) -> list[str]:
    """Do what *order* says; return all faults that hold now, in words.

    An order that a device has taken up already goes on as it began.

    Raises:
        QuirkError: There are no such devices, or the order names nothing to do.
    """
    if not fleets:
        raise QuirkError("no light device runs in this world; rule: `world up --devices N`")
    if order.off:
        for fleet in fleets:
            fleet.faults.rules = tuple(
                rule for rule in fleet.faults.rules if order.kind not in (None, rule.kind)
            )
    elif order.kind is None:
        raise QuirkError(f"fault; rule: one of {', '.join(FaultKind)}, or --off")
    else:
        _add(fleets, order, order.kind)
    return fault_words(fleets)


def fault_words(fleets: Sequence["Fleet"]) -> list[str]:
    """Return the faults that hold, each in words."""
    rules = (rule for fleet in fleets for rule in fleet.faults.rules)
    return list(dict.fromkeys(_words(rule) for rule in rules))


def _add(fleets: Sequence["Fleet"], order: FaultOrder, kind: FaultKind) -> None:
    meant = [[name for name in each.devices if _is_meant(name, order.device)] for each in fleets]
    if not any(meant):
        raise QuirkError(f"no light device {order.device!r}; rule: a name, or a pattern with *")
    for fleet, names in zip(fleets, meant, strict=True):
        rule = Fault(
            kind=kind,
            version=order.version,
            share=order.share,
            devices=None if order.device is None else frozenset(names),
        )
        fleet.faults.rules = (rule, *fleet.faults.rules)


def _is_meant(name: str, pattern: str | None) -> bool:
    return pattern is None or fnmatchcase(name, pattern)


def _words(rule: Fault) -> str:
    version = f"version {rule.version}" if rule.version else "any version"
    whom = "all devices" if rule.devices is None else f"{len(rule.devices)} devices"
    share = "" if rule.share == 1 else f"{rule.share:.0%} of "
    return f"{rule.kind}: {version} on {share}{whom}"
