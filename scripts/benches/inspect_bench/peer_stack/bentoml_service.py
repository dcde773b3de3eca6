"""BentoML with one worker: the frame's bytes as the one input, which it hands over as a file."""
# The decorators come from a package without types: this file runs in an environment of its own.
# mypy: disable-error-code="untyped-decorator"

from pathlib import Path
from typing import Annotated

import bentoml
from benches.inspect_bench.peer_stack.model_session import ModelSession
from bentoml.validators import ContentType

RawFile = Annotated[Path, ContentType("application/octet-stream")]


@bentoml.service(workers=1, metrics={"enabled": False})
class FrameService:
    """One frame a request."""

    def __init__(self) -> None:
        self.session = ModelSession()

    @bentoml.api
    def infer(self, frame: RawFile, /) -> dict[str, float]:
        """Judge the frame."""
        return self.session.infer(frame.read_bytes())
