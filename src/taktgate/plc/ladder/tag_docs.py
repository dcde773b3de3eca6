"""docs/plc-tags.md, generated from the tag table: `python -m taktgate.plc.ladder.tag_docs`."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from taktgate.contracts.verdict import Reason
from taktgate.edge.files import publish
from taktgate.plc.contract.flat_profile import FlatProfile
from taktgate.plc.contract.packet_size import verdict_bytes, verdicts_per_packet
from taktgate.plc.contract.tags import (
    DECISIONS,
    ERROR_CODES,
    FLAT_TAGS,
    RESULT_SLOTS,
    TAGS,
    StatusError,
    Tag,
    WriterState,
)
from taktgate.plc.contract.udt_profile import UdtProfile
from taktgate.plc.contract.wire import Profile
from taktgate.plc.errors import ConnectionTooSmallError

DOCUMENT: Final = Path("docs/plc-tags.md")

_REASONS: Final = {
    Reason.NONE: "a decision was made",
    Reason.TIMEOUT: "the judge had no answer at its decision deadline",
    Reason.NO_FRAME: "the camera sent nothing for this part",
    Reason.FRAME_MISMATCH: "frame and TriggerId do not belong together without doubt",
    Reason.UNCERTAIN: "the score lies in the model's uncertain band",
    Reason.NON_FINITE: "the model answered NaN or infinity",
    Reason.MODEL_ERROR: "the model failed",
    Reason.NOT_READY: "no verified model is live, or the line is not enabled",
    Reason.SKIPPED: "TriggerId jumped over this part",
    Reason.RESTARTED: "the part came, or was open, while the writer was away",
    Reason.NO_VERDICT: "the judge stayed silent until the writer had to answer",
    Reason.CONFLICT: "two different verdicts came for one part",
    Reason.CONTRACT: "the judge speaks another contract version, or says what only the writer may",
    Reason.EXPIRED: "the verdict came too late (Decision 4)",
    Reason.SILENT: "never written: the PLC's own word for a part without a valid result",
    Reason.OVERLOAD: "more parts came than the model can judge, this one gave way",
    Reason.IMAGE_DARK: "too much of the image is black: no light?",
    Reason.IMAGE_SATURATED: "too much of the image is white: over-exposed",
    Reason.IMAGE_EXPOSURE: "the mean brightness lies outside the set range",
    Reason.IMAGE_BLURRED: "the image is less sharp than set: focus, dirt, motion",
    Reason.IMAGE_FROZEN: "the camera repeats an image",
}
_ERRORS: Final = {
    StatusError.NONE: "nothing is wrong",
    StatusError.NO_BEAT: "the judge has been silent for 300 ms",
    StatusError.JUDGE_NOT_READY: "the judge says that it cannot judge: no live model, no camera",
    StatusError.CONTRACT: "the judge speaks another contract version",
    StatusError.KERNEL_BOOT: "the judge's messages are of another host or another boot",
    StatusError.PLC_STALLED: "PlcHeartbeat has stood still for 500 ms: Program mode?",
    StatusError.PLC_UNPROVEN: "PlcHeartbeat has not moved since the session was opened",
    StatusError.DEADLINE: "VIS01_Cmd.DeadlineMs is not within 1..10000",
    StatusError.STOPPING: "the writer was told to end",
    StatusError.PLC_PROGRAM: "the controller says that it is in Program mode",
    StatusError.TAGS: "the controller's tags are not these: nothing is written; see `plc.error`",
    StatusError.CONTROLLER: "no controller of ours at the address: nothing is written either",
}
_HEAD: Final = f"""# PLC tags

Generated from `src/taktgate/plc/contract/tags.py` by `python -m taktgate.plc.ladder.tag_docs`; a
test holds the two together. Each side writes only its own tags. All members are DINT, REAL or BOOL;
nothing needs string parsing.

The result of a part lies in slot `TriggerId AND {RESULT_SLOTS - 1}`: {RESULT_SLOTS} parts may be
in flight, in any order. The rest state of the gate is reject.

## What the PLC's program has to do

This is the program that the stand-in runs (`src/taktgate/standin/line/`) and that the writer is
tested with. `taktgate plc l5x` writes it as types, tags and a ladder routine to import, whose rungs
are executed beside the stand-in's program in the tests; `taktgate plc model-check` searches every
state of it together with the writer's own rules. Looking at the slot only once, at the gate, is not
the same: a PASS that came after the deadline would look like one in time.

```
(* 1  Each scan, first. Logix tags are retentive, so the first scan clears what was left. *)
IF S:FS THEN
    FOR i := 0 TO {RESULT_SLOTS - 1} DO VIS01_Result[i].Valid := 0; END_FOR;
    (* and P.Rejected := 1 for each part on the line: its timer has begun anew *)
END_IF;
CommOk := HbSeen AND NOT HbTmr.DN;
    (* HbTmr: preset 400 ms, restarted by each change of VIS01_Sts.Heartbeat;
       HbSeen: set by its first change since the first scan *)

(* 2  Each scan, for each part P on the line, until P.DeadlineTmr.DN was set a scan before. *)
CPS(VIS01_Result[P.Id AND {RESULT_SLOTS - 1}], R, 1);
IsWhole := R.Valid AND (R.SeqBegin = R.SeqEnd) AND (R.TriggerId = P.Id);
IsPass := (R.Decision = 1) AND R.Pass AND NOT R.Reject AND NOT R.Late;
IF IsWhole AND IsPass AND CommOk AND VIS01_Sts.Ready AND NOT P.DeadlineTmr.DN THEN
    P.Accept := 1;                      (* latched *)
END_IF;
IF IsWhole AND NOT IsPass THEN
    P.Rejected := 1;                    (* for good: no later PASS undoes it *)
END_IF;
IF P.Rejected THEN P.Accept := 0; END_IF;
IF IsWhole AND NOT P.DeadlineTmr.DN AND (R.SeqEnd <> P.AckedSeq) THEN
    VIS01_Cmd.AckSeq := R.SeqEnd;       (* once, or it would hide another part's *)
    P.AckedSeq := R.SeqEnd;
END_IF;

(* 3  At the gate. *)
RejectOut := NOT (P.Accept AND CommOk);
(* When P has left the gate it is off the line: one PASS opens the gate for one part. *)

(* 4  When a part comes, last in the scan, in this order. *)
P.Id := VIS01_Cmd.TriggerId + 1;
P.Accept := 0; P.Rejected := 0; P.AckedSeq := 0;
                                        (* and restart P.DeadlineTmr, preset DeadlineMs; one that
                                           is not within 1..10000 is over at once *)
VIS01_Result[P.Id AND {RESULT_SLOTS - 1}].Valid := 0;
VIS01_Cmd.TriggerId := P.Id;            (* then the camera's trigger output *)
```

Clearing `Valid` is the only thing that the PLC writes into a tag of the vision side. TriggerId 0
means that there has been no part yet. `AckSeq` is the second confirmation: when the reply to the
write of a PASS was lost or late, the writer takes the part as passed if AckSeq names that result,
and else takes the PASS back while the deadline may still run.

`VIS01_Sts.BootId` tells who writes. A writer that finds another id than its own watches the
heartbeat for 300 ms before its first write, and writes only if it stands still; after its first
write another id ends it. 0 is nobody's: a tag that no writer has written to yet.
"""


_FLAT: Final = """## Profile `flat`: the same in atomic tags

For controllers and simulators without user-defined types (`plc.profile: flat` in
`config/station.yaml`). Each member is a tag of its own: a result's an array of {slots}, one element
per slot, a member of the status or the command a scalar. The BOOLs of a result are DINTs of 0 or 1,
because an element of a BOOL array can only be changed by reading and writing back the DWORD that
holds it; the ladder looks at bit 0.

A verdict is written in one packet, its tags in the order of this table: SeqBegin first, SeqEnd
last. The PLC's program copies them **in the opposite order**, SeqEnd first and SeqBegin last: then
a copy with SeqBegin = SeqEnd cannot be a mixture of two results. `taktgate plc l5x --profile flat`
writes the routine so.

| profile | packet of one verdict with the status | verdicts in 4000 bytes | in 500 bytes |
| --- | --- | --- | --- |
{sizes}
A controller that grants no large connection (4000 bytes) is asked for 500 bytes. Where these hold
no whole verdict, the writer refuses the controller (State 4, as for a tag that is missing) rather
than split one over two packets. More verdicts at a time than one packet holds go in several.

{tags}"""


def _flat_block() -> str:
    profiles = (UdtProfile(), FlatProfile())
    sizes = "".join(
        f"| {profile.name} | {verdict_bytes(profile)} bytes | {_verdicts(profile, 4000)} "
        f"| {_verdicts(profile, 500)} |\n"
        for profile in profiles
    )
    rows = [
        (
            tag.name,
            f"{tag.type}[{tag.dimension}]" if tag.dimension else tag.type,
            "vision" if tag.written_by == "vision" else "PLC",
            tag.meaning,
        )
        for tag in FLAT_TAGS
    ]
    tags = _table(("tag", "type", "written by", "meaning"), rows)
    return _FLAT.format(slots=RESULT_SLOTS, sizes=sizes, tags=tags)


def _verdicts(profile: Profile, connection_bytes: int) -> str:
    try:
        return str(verdicts_per_packet(profile, connection_bytes))
    except ConnectionTooSmallError:
        return "none: refused"


def render() -> str:
    """Return the whole document."""
    blocks = [_HEAD, *(_tag_block(tag) for tag in TAGS), _flat_block()]
    blocks.append("## Codes\n")
    decisions = [(code, verdict) for verdict, code in DECISIONS.items()]
    blocks.append(
        "`VIS01_Result.Decision`\n\n" + _table(("code", "meaning"), [(0, "none yet"), *decisions])
    )
    reasons = [(code, reason, _REASONS[reason]) for reason, code in ERROR_CODES.items()]
    blocks.append("`VIS01_Result.ErrorCode`\n\n" + _table(("code", "name", "meaning"), reasons))
    states = [(state.value, state.name) for state in WriterState]
    blocks.append("`VIS01_Sts.State`\n\n" + _table(("code", "name"), states))
    errors = [(error.value, error.name, _ERRORS[error]) for error in StatusError]
    blocks.append("`VIS01_Sts.ErrorCode`\n\n" + _table(("code", "name", "meaning"), errors))
    return "\n".join(blocks)


def _tag_block(tag: Tag) -> str:
    dimension = f"[{tag.dimension}]" if tag.dimension else ""
    writer = "the vision side" if tag.written_by == "vision" else "the PLC"
    rows = [
        (
            member.name,
            member.type,
            member.offset if member.bit is None else f"{member.offset}.{member.bit}",
            member.meaning,
        )
        for member in tag.udt.members
    ]
    return (
        f"## {tag.name} : {tag.udt.name}{dimension}\n\n"
        f"Written by {writer}; {tag.udt.size} bytes each.\n\n"
        + _table(("member", "type", "offset", "meaning"), rows)
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "".join("| " + " | ".join(str(cell) for cell in line) + " |\n" for line in lines)


def main() -> int:
    """Write the document into the working directory's docs/."""
    publish(DOCUMENT, render().encode("utf-8"), mode=0o644)
    return 0


if __name__ == "__main__":
    sys.exit(main())
