"""JSON Schemas of the contracts: generated from the code, checked in beside it, held by a test.

`python -m taktgate.contracts.schemas` writes them anew.
"""

import json
from pathlib import Path
from typing import Any, Final

from taktgate.contracts.activation import Activation, Rollback
from taktgate.contracts.codec import adapter
from taktgate.contracts.hold import Hold
from taktgate.contracts.line import Beat, LineState
from taktgate.contracts.outcome import Outcome
from taktgate.contracts.pulse import JudgePulse
from taktgate.contracts.runtime import RuntimeFacts
from taktgate.contracts.staged import StagedModel
from taktgate.contracts.twins import (
    InspectionReported,
    StagerDesired,
    StagerReported,
    WriterReported,
)
from taktgate.contracts.verdict import VerdictEnvelope

FOLDER: Final = Path(__file__).parent / "json"

DOCUMENTS: Final[tuple[type[Any], ...]] = (
    Activation,
    Beat,
    Hold,
    InspectionReported,
    JudgePulse,
    LineState,
    Outcome,
    Rollback,
    RuntimeFacts,
    StagedModel,
    StagerDesired,
    StagerReported,
    VerdictEnvelope,
    WriterReported,
)


def schema_text(document: type[Any]) -> str:
    """Return the JSON Schema of *document*, as it is checked in."""
    schema = adapter(document).json_schema(mode="serialization")
    return json.dumps(schema, indent=2, sort_keys=True) + "\n"


def schema_path(document: type[Any]) -> Path:
    """Return where the schema of *document* lies."""
    return FOLDER / f"{document.__name__}.schema.json"


def write_all() -> None:
    """Write every schema to its file."""
    FOLDER.mkdir(exist_ok=True)
    for document in DOCUMENTS:
        schema_path(document).write_text(schema_text(document), encoding="utf-8")


if __name__ == "__main__":
    write_all()
