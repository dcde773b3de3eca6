"""docs/plc-tags.md, generated from the tag table: `python -m taktgate.plc.tag_docs`."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from taktgate.contracts.verdict import Reason
from taktgate.edge.files import publish
from taktgate.plc.tags import (
    DECISIONS,
    ERROR_CODES,
    RESULT_SLOTS,
    TAGS,
    StatusError,
    Tag,
    WriterState,
)

DOCUMENT: Final = Path("docs/plc-tags.md")

_REASONS: Final = {
    Reason.NONE: "a decision was made",
    Reason.TIMEOUT: "the judge had no answer at its decision deadline",
    Reason.NO_FRAME: "the camera sent nothing for this part",
    Reason.FRAME_MISMATCH: "frame and TriggerId could not be matched without doubt",
    Reason.UNCERTAIN: "the score lies in the model's uncertain band",
    Reason.NON_FINITE: "the model answered NaN or infinity",
    Reason.MODEL_ERROR: "the model failed",
    Reason.NOT_READY: "no verified model is live, or the line is not enabled",
    Reason.SKIPPED: "TriggerId jumped over this part",
    Reason.RESTARTED: "the part was open while the writer was away",
    Reason.NO_VERDICT: "the judge stayed silent until the writer had to answer",
    Reason.CONFLICT: "two different verdicts came for one part",
    Reason.CONTRACT: "the judge speaks another contract version",
    Reason.EXPIRED: "the verdict came too late (Decision 4)",
    Reason.SILENT: "never written: the PLC's own word for a part without a valid result",
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
}
_HEAD: Final = f"""# PLC tags

Generated from `src/taktgate/plc/tags.py` by `python -m taktgate.plc.tag_docs`; a test holds the two
together. Each side writes only its own tags. All members are DINT, REAL or BOOL; nothing needs
string parsing.

The result of a part lies in slot `TriggerId AND {RESULT_SLOTS - 1}`: {RESULT_SLOTS} parts may be
in flight, in any order. The rest state of the gate is reject; a part may pass only if, at the
gate, on a copy (CPS) of its slot:

```
AcceptPart := CommOk AND VIS01_Sts.Ready AND R.Valid AND (R.SeqBegin = R.SeqEnd)
              AND (R.TriggerId = PartId) AND (R.Decision = 1) AND R.Pass
              AND NOT R.Reject AND NOT R.Late AND NOT DeadlineTmr.DN;
RejectOut := NOT AcceptPart;
```

`CommOk` is a timer (preset 400 ms) on a changing `VIS01_Sts.Heartbeat`. Logix tags are retentive:
clear `Valid` of all slots on the first scan, and of its slot when a part is triggered. Write
`TriggerId` before the camera's trigger output; 0 means that there has been no part yet.

`VIS01_Sts.BootId` tells who writes. A writer that reads another id than its own after it has
written stops; 0 is taken for the PLC's own first scan.
"""


def render() -> str:
    """Return the whole document."""
    blocks = [_HEAD, *(_tag_block(tag) for tag in TAGS)]
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
