"""What can go wrong with a PLC and its link, in words; `plc_faults.py` does it."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class PlcFaultKind:
    """One fault, for a person who chooses it and looks at the panel meanwhile."""

    happens: str
    shows: str
    """What the lamps and tags show."""
    lasts_s: float
    """How long it lasts unless a run says otherwise; 0 strikes once."""
    settles_s: float = 5.0
    """Room that `all` leaves until the next one."""


PLC_FAULTS: Final = {
    "program-mode": PlcFaultKind(
        happens="somebody puts the controller into Program mode, and back to Run",
        shows="PlcHeartbeat stands, State 3, Ready 0; gate at rest; then HbFault for a moment",
        lasts_s=3.0,
    ),
    "power-cycle": PlcFaultKind(
        happens="the controller loses its power and starts anew with retentive tags",
        shows="all lamps dark; then first scan: Valid cleared, HbFault, part numbers begin anew",
        lasts_s=1.5,
    ),
    "download": PlcFaultKind(
        happens="the same project is downloaded again: program off, tag values of the project",
        shows="PlcHeartbeat stands, then counts from 0; part numbers begin anew; State 3, then 2",
        lasts_s=1.0,
    ),
    "download-changed": PlcFaultKind(
        happens="a project with VIS01_Result.AgeMs as REAL is downloaded, later the right one",
        shows="no State 2: the writer refuses the tags (Fault) and writes nothing; HbFault",
        lasts_s=4.0,
        settles_s=22.0,
    ),
    "cable-pull": PlcFaultKind(
        happens="every request gets lost on the wire, and so does every answer",
        shows="HbFault after the watchdog's 400 ms; gate at rest; CntReconnect +1 afterwards",
        lasts_s=2.0,
    ),
    "silence": PlcFaultKind(
        happens="the controller's communication hangs, and does later what waited meanwhile",
        shows="HbFault after 400 ms; late writes meet other parts, and no gate opens for them",
        lasts_s=2.0,
    ),
    "reset": PlcFaultKind(
        happens="the controller resets the connection once",
        shows="CntReconnect +1; State 2 again at once, parts of the moment are rejected",
        lasts_s=0.0,
    ),
    "refuse": PlcFaultKind(
        happens="the connection is reset and the controller refuses every new session",
        shows="HbFault after 400 ms; CntReconnect +1 when it takes one again",
        lasts_s=2.0,
    ),
    "forget-connections": PlcFaultKind(
        happens="the controller forgets the class 3 connection and tells nobody",
        shows="as a pulled cable, until the writer opens a new one; CntReconnect +1",
        lasts_s=0.0,
    ),
    "slow": PlcFaultKind(
        happens="every answer comes 400 ms late, although the request was executed",
        shows="HbFault; results that came without a confirmation are taken back or stay unacted",
        lasts_s=2.0,
    ),
    "drip": PlcFaultKind(
        happens="answers come byte by byte, 20 ms apart",
        shows="as slow: an exchange is bounded as a whole, not byte by byte",
        lasts_s=2.0,
    ),
    "cut-reply": PlcFaultKind(
        happens="every answer ends after 30 bytes with the connection closed",
        shows="HbFault after 400 ms; CntReconnect counts the tries that got a session",
        lasts_s=2.0,
    ),
    "duplicate": PlcFaultKind(
        happens="every answer comes twice",
        shows="the writer trusts no such session: as a reset, for as long as it lasts",
        lasts_s=2.0,
        settles_s=10.0,
    ),
    "reorder": PlcFaultKind(
        happens="answers leave in the wrong order, so a single one waits",
        shows="as silence: nothing is confirmed",
        lasts_s=2.0,
    ),
    "drop": PlcFaultKind(
        happens="every 20th answer gets lost although the request was executed",
        shows="short interruptions: CntReconnect rises, single parts are rejected",
        lasts_s=3.0,
    ),
    "torn-writes": PlcFaultKind(
        happens="each result takes effect in two halves, 20 ms apart",
        shows="nothing: SeqBegin differs from SeqEnd meanwhile, and the rungs wait for the rest",
        lasts_s=3.0,
    ),
    "freeze-logic": PlcFaultKind(
        happens="the ladder stands still while the communication lives",
        shows="PlcHeartbeat stands, State 3, Ready 0; outputs as they were; no first scan after",
        lasts_s=2.0,
    ),
    "host-stop": PlcFaultKind(
        happens="the whole edge device stands still and goes on later",
        shows="HbFault after 400 ms; verdicts from before are too old and discarded",
        lasts_s=2.0,
    ),
}
"""By the names of `--plc-fault`, in the order in which `all` runs them."""
