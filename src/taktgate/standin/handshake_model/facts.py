"""What a state of the model is made of.

Named tuples of integers, not dataclasses: a run hashes and compares them some million times, and a
tuple does that in C. Times are in steps of `STEP_NS`. The PLC's are ages, the writer's are readings
of the host's clock.
"""

from enum import IntEnum
from typing import Final, NamedTuple

from taktgate.edge.clock import MILLISECOND
from taktgate.plc.contract.records import Command, ResultRecord
from taktgate.plc.contract.tags import RESULT_SLOTS

STEP_NS: Final = 100 * MILLISECOND
NEVER: Final = -1
NOBODY: Final = 0
"""The serial of no part: what the writer answers of its own accord rests on nobody's picture."""
WATCHDOG_STEPS: Final = 4
"""The PLC's preset for the vision heartbeat."""


class Sheet(NamedTuple):
    """One verdict as an envelope carries it, and which part it was really made for."""

    boot: int
    start: int
    """Start of the judge."""
    number: int
    """Sequence within that start."""
    epoch: int
    trigger_id: int
    serial: int
    """Of the part in the picture. No rule ever sees it."""
    is_pass: bool
    triggered: int
    decided: int
    deadline: int
    flaw: int = 0
    """A `Flaw`: what a judge out of order got wrong."""


class Flaw(IntEnum):
    """What a judge out of order may get wrong about a verdict."""

    NONE = 0
    FUTURE = 1
    """Decided later than now: its clock is another one."""
    EARLY = 2
    """Decided before the part was there."""
    PROOFLESS = 3
    """A PASS whose times do not show that it is about this part."""
    CONTRACT = 4
    """Another version of the contract."""
    OVERREACH = 5
    """LATE: a word that is the writer's alone."""


class Result(NamedTuple):
    """One result record, and the envelope it rests on."""

    sequence: int = 0
    trigger_id: int = 0
    decision: int = 0
    error_code: int = 0
    serial: int = NOBODY
    start: int = 0
    number: int = 0


NO_RESULT: Final = Result()
PIECES: Final = 6
"""SeqBegin, TriggerId, Decision, the bits, ErrorCode, SeqEnd: where a copy may be cut in two."""
BITS_PIECE: Final = 3


class Slot(NamedTuple):
    """One element of `VIS01_Result`: which write each piece of it comes from."""

    pieces: tuple[Result, ...] = (NO_RESULT,) * PIECES
    is_valid: bool = False

    @property
    def whole(self) -> Result | None:
        """The result that stands here from its first piece to its last."""
        first = self.pieces[0]
        return first if all(piece == first for piece in self.pieces) else None


EMPTY_SLOT: Final = Slot()


class Status(NamedTuple):
    """What the model looks at in `VIS01_Sts`."""

    heartbeat: int = 0
    boot_id: int = 0
    last_seq: int = 0
    is_ready: bool = False


class Request(NamedTuple):
    """One write request: results, each to its slot, then the status."""

    results: tuple[Result, ...]
    status: Status


class PartOnLine(NamedTuple):
    """A part between its trigger and its gate, as the program follows it."""

    serial: int
    trigger_id: int
    age: int = 0
    timer: int = 0
    """The program's own; equal to `age` unless the program is wrong."""
    is_done: bool = False
    """The deadline timer was found done in a scan before."""
    acked: int = 0
    """SeqEnd of the result that was acknowledged last, 0 for none."""
    is_accepted: bool = False
    is_rejected: bool = False
    by: Result | None = None
    """What the part was accepted by; None for a mixture of two writes."""
    saw_reject: bool = False
    """Beside the program: a scan met a whole reject for this part in time."""
    was_over: bool = False
    """Beside the program: its time was over in a scan before."""


class Plc(NamedTuple):
    """The controller: its memory, its program's state, and books beside it."""

    is_running: bool = True
    is_first_scan: bool = True
    heartbeat: int = 1
    seen_heartbeat: int = NEVER
    """The vision heartbeat in the scan before."""
    watchdog_age: int = NEVER
    """Steps since the program saw it change; NEVER before the first change."""
    trigger_id: int = 0
    ack_seq: int = 0
    hb_fault: bool = False
    slots: tuple[Slot, ...] = (EMPTY_SLOT,) * RESULT_SLOTS
    status: Status = Status()
    parts: tuple[PartOnLine, ...] = ()
    is_touched: bool = True
    """Something that a scan would notice was written since the last; the next step notices all."""
    newest_serial: int = NOBODY
    """Of the part that TriggerId stands for."""
    came: int = 0
    """Beside the program: parts that came since power-up."""
    silent: int = 99
    """Beside: steps since a write changed the vision heartbeat."""
    idle: int = 0
    """Beside: steps since the line became empty."""
    stood: int = 0
    """Beside: steps in which the program did not run."""
    got: tuple[tuple[int, int], ...] = ()
    """Beside: (serial, sequence) of each PASS that stood whole before the part's timer ran out."""


class Told(NamedTuple):
    """One edge that the writer read, as it tells the judge, and the part behind it."""

    epoch: int
    trigger_id: int
    serial: int
    observed_after: int
    observed: int
    deadline: int
    judged: int = 0
    """How many verdicts were made for it."""
    has_passed: bool = True
    """All verdicts that were made for it are PASS."""


LONG_SILENCE: Final = 6
"""Steps of the judge's silence after which it makes no difference how long it lasts."""


class Judge(NamedTuple):
    """The judge: its start, how many verdicts it numbered, and since when it is silent."""

    start: int = 1
    numbered: int = 0
    silent: int = 0
    """Steps since its last beat; 0 while it lives."""
    is_alive: bool = True


class Exchange(NamedTuple):
    """What the writer waits for: the reply to a read, or to a write."""

    began: int
    command: Command | None = None
    serial: int = NOBODY
    status: Status = Status()
    request: Request | None = None
    records: tuple[ResultRecord, ...] = ()
    progress: int = 0
    """Pieces of the first result that are in the slot; `DONE` when all is executed."""


DONE: Final = PIECES + 1


class Ghost(NamedTuple):
    """A request of a session that was given up: it may still be executed."""

    request: Request
    progress: int = 0


class Books(NamedTuple):
    """What the properties remember of the writer's present start, and of the gate."""

    delivered: tuple[tuple[int, int, int], ...] = ()
    """(serial, start, number) of each verdict in good order that reached the writer."""
    contradicted: tuple[int, ...] = ()
    passes: tuple[tuple[int, int, int], ...] = ()
    """(serial, sequence, times) of each PASS that was sent."""
    rejects: tuple[int, ...] = ()
    """Serials a reject was sent for."""
    on_record: tuple[int, ...] = ()
    """Serials whose last outcome says that a reject was written."""
    moved: int = NEVER
    """Step in which the writer last read another PlcHeartbeat than the time before; NEVER again
    when a session begins with HbFault, which says that the PLC may have begun anew."""
    actuated: tuple[tuple[int, int, int], ...] = ()
    """(start, number, serial) of each verdict that opened the gate."""
