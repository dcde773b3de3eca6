"""All tags of the contract at one moment, as `taktgate plc watch` reads and compares them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from taktgate.contracts.verdict import Reason
from taktgate.plc.contract.encoding import Value
from taktgate.plc.contract.tags import (
    COMMAND_TAG,
    DECISIONS,
    RESULT_SLOTS,
    RESULT_TAG,
    STATUS_TAG,
    StatusError,
    Tag,
    WriterState,
    flat_tag,
)

Members = Mapping[str, Value]

_DECISIONS: Final = {0: "none", **{code: str(verdict) for verdict, code in DECISIONS.items()}}
_REASONS: Final = {code: str(reason) for code, reason in enumerate(Reason)}
_STATES: Final = {state.value: state.name for state in WriterState}
_ERRORS: Final = {error.value: error.name for error in StatusError}
_WORDS: Final[Mapping[tuple[str, str], Mapping[int, str]]] = {
    (RESULT_TAG.name, "Decision"): _DECISIONS,
    (RESULT_TAG.name, "ErrorCode"): _REASONS,
    (STATUS_TAG.name, "State"): _STATES,
    (STATUS_TAG.name, "ErrorCode"): _ERRORS,
}
HEARTBEATS: Final = ((STATUS_TAG.name, "Heartbeat"), (COMMAND_TAG.name, "PlcHeartbeat"))
"""Members that change all the time while all is well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The members of each tag, and of each element of the results, by name of the element."""

    elements: Mapping[str, Members]

    @property
    def command(self) -> Members:
        """Return the members of the command."""
        return self.elements[COMMAND_TAG.name]

    @property
    def status(self) -> Members:
        """Return the members of the status."""
        return self.elements[STATUS_TAG.name]

    @property
    def slots(self) -> list[Members]:
        """Return the members of each result slot."""
        return [self.elements[f"{RESULT_TAG.name}[{slot}]"] for slot in range(RESULT_SLOTS)]

    def changes_since(self, before: "Snapshot") -> dict[str, list[str]]:
        """Return the members that differ from *before*, by element, heartbeats left out."""
        found: dict[str, list[str]] = {}
        for element, members in self.elements.items():
            changed = [
                name
                for name, value in members.items()
                if value != before.elements[element][name] and (element, name) not in HEARTBEATS
            ]
            if changed:
                found[element] = changed
        return found


def paths(profile: str) -> list[str]:
    """Return what has to be read for one snapshot."""
    if profile == "udt":
        return [_array(RESULT_TAG.name, RESULT_TAG.dimension), STATUS_TAG.name, COMMAND_TAG.name]
    return [_array(tag.name, tag.dimension) for owner in _OWNERS for tag in _flat(owner)]


def snapshot(profile: str, values: Sequence[Any]) -> Snapshot:
    """Return the snapshot in *values*, which were read at `paths`."""
    if profile == "udt":
        results, status, command = values
        slots = [dict(result) for result in results]
    else:
        flat = iter(values)
        by_owner = {
            owner.name: {member.name: next(flat) for member in owner.udt.members}
            for owner in _OWNERS
        }
        arrays = by_owner[RESULT_TAG.name]
        slots = [
            {member: array[slot] for member, array in arrays.items()}
            for slot in range(RESULT_SLOTS)
        ]
        status, command = by_owner[STATUS_TAG.name], by_owner[COMMAND_TAG.name]
    named = {f"{RESULT_TAG.name}[{slot}]": members for slot, members in enumerate(slots)}
    elements = {COMMAND_TAG.name: command, STATUS_TAG.name: status, **named}
    return Snapshot(elements={name: _in_order(name, found) for name, found in elements.items()})


def word(element: str, member: str, value: Value) -> str:
    """Return *value* as a person reads it: a code with its word, a number rounded."""
    words = _WORDS.get((element.partition("[")[0], member))
    if words is not None:
        return f"{int(value)} {words.get(int(value), 'unknown')}"
    if isinstance(value, float):
        return f"{value:.4g}"
    return str(int(value))


_OWNERS: Final = (RESULT_TAG, STATUS_TAG, COMMAND_TAG)


def _flat(owner: Tag) -> list[Tag]:
    return [flat_tag(owner, member) for member in owner.udt.members]


def _array(name: str, dimension: int) -> str:
    return f"{name}{{{dimension}}}" if dimension else name


def _in_order(element: str, members: Members) -> Members:
    """Return *members* in the order of the table; pycomm3 lists the BOOLs of a structure last."""
    (owner,) = (tag for tag in _OWNERS if tag.name == element.partition("[")[0])
    return {member.name: members[member.name] for member in owner.udt.members}


class HeartbeatAge:
    """How long a heartbeat has stood still, as far as it was watched."""

    def __init__(self) -> None:
        self._value: Value | None = None
        self._since_s = 0.0

    def observe(self, value: Value, now_s: float) -> float:
        """Return the seconds since *value* last changed, or since it was first seen."""
        if value != self._value:
            self._value, self._since_s = value, now_s
        return now_s - self._since_s
