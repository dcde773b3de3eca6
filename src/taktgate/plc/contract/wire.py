"""What one exchange with the controller carries: the port between records and a backend.

A *profile* says which tags hold the contract (`udt`: three tags of user-defined types; `flat`:
atomic tags for controllers without them) and turns records into tag writes and tag reads. A
*backend* (`logix`: pycomm3; `cached`: patched packets) carries them, and knows no record.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from taktgate.plc.contract.encoding import Value
from taktgate.plc.contract.records import Reading, ResultRecord, SlotEcho, StatusRecord
from taktgate.plc.contract.tags import DataType, Tag

ReadValue = Value | Mapping[str, Value]
"""Of an atomic tag its value, of a structure its members by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TagWrite:
    """One element to write: `path` as in `VIS01_Result[3]`, `data` as it lies in the controller."""

    path: str
    type: DataType
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TagRead:
    """One element to read."""

    path: str
    type: DataType


class Profile(Protocol):
    """How the contract lies in the controller's tags."""

    @property
    def name(self) -> str:
        """Return `udt` or `flat`."""
        ...

    @property
    def tags(self) -> tuple[Tag, ...]:
        """Return the controller-scope tags that have to be there."""
        ...

    def writes(self, results: Sequence[ResultRecord], status: StatusRecord) -> tuple[TagWrite, ...]:
        """Return what to write for *results* and *status*: at least two elements, in order.

        Of a result the element with SeqBegin comes first and the one with SeqEnd last: a request
        that is executed in part leaves a torn result, which the ladder rejects. Which elements
        they are depends on the slots of *results* alone.
        """
        ...

    def contents(self, results: Sequence[ResultRecord], status: StatusRecord) -> list[bytes]:
        """Return only the data of `writes`, for a backend that knows the elements already."""
        ...

    def reads(self, *, echo: bool) -> tuple[TagRead, ...]:
        """Return what to read for the command and, with *echo*, for the echo of the status."""
        ...

    def reading(self, values: Sequence[ReadValue], *, echo: bool) -> Reading:
        """Return what *values*, in the order of `reads`, say.

        Raises:
            KeyError: a member is missing.
            ValueError: there are too few values.
        """
        ...

    def result_reads(self, slot: int) -> tuple[TagRead, ...]:
        """Return what to read for the echo of result slot *slot*, 0..7: at least one element."""
        ...

    def results(self, values: Sequence[ReadValue]) -> tuple[SlotEcho, ...]:
        """Return what *values* say, in the order of `result_reads` of one slot after another.

        Raises:
            KeyError: a member is missing.
            ValueError: there are too few values, or one is of the wrong kind.
        """
        ...
