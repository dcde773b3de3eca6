"""`runtime.json`: what inference really runs models with, for those who must choose one for it.

Written by inference's agent beside `activation.json` when a runner says otherwise than the file.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from taktgate.contracts.codec import OPEN_DOCUMENT

RUNTIME_FILE: Final = "runtime.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class RuntimeFacts:
    """The runtime of this station's inference module."""

    __pydantic_config__ = OPEN_DOCUMENT

    contract: str
    ort: Annotated[str, Field(max_length=64)]
    """ONNX Runtime's version."""
    provider: Annotated[str, Field(max_length=64)]
    """The execution provider in use."""
    fingerprint: Annotated[str, Field(max_length=200)]
    """What golden was passed under: version, provider, CPU flags, driver."""
