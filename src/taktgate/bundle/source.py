"""The source model: what was trained, by which commit, on which data, and what it claims.

One source model is compiled into one artifact per device class. The artifact's manifest names the
source by the digest of its ONNX file, so that every verdict traces back to data and commit.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal, Self

from pydantic import Field

from taktgate.bundle.manifest import GoldenClaims, Name, Part, Sha256, Text, parse_document

SOURCE_LIMIT_BYTES = 1 << 20


class TrainingData(Part):
    """What the network was trained on.

    Attributes:
        id: How the owner of the data calls this very state of it.
        digest: Of the list of files, where there is one.
    """

    id: Annotated[Text, Field(min_length=1, max_length=200)]
    digest: Sha256 | None


class SourceModel(Part):
    """`source.json` of the registry.

    Attributes:
        digest: Of the trained ONNX file.
        commit: Of the code that trained it.
        parent: The version it was trained on from, None for a first one.
        approver: Who signed it off.
    """

    schema_version: Literal["1"] = Field(alias="schema", default="1")
    name: Name
    version: Name
    digest: Sha256
    licence: Annotated[Text, Field(min_length=1, max_length=200)]
    opset: Annotated[int, Field(ge=1)]
    ir_version: Annotated[int, Field(ge=1)]
    training_data: TrainingData
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{7,64}$")]
    parent: Name | None
    approver: Annotated[Text, Field(min_length=1, max_length=200)]
    golden_claims: GoldenClaims | None

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return the source model described by *data*.

        Raises:
            ManifestError: The bytes are no source.json, or a field breaks a rule; names both.
        """
        return parse_document(cls, data, limit_bytes=SOURCE_LIMIT_BYTES)

    def to_bytes(self) -> bytes:
        """Return the file: keys sorted, two spaces, one newline at the end."""
        document = self.model_dump(mode="json", by_alias=True)
        return (json.dumps(document, indent=2, sort_keys=True, allow_nan=False) + "\n").encode()
