"""MLServer without parallel workers, by gRPC: the frame's bytes as one BYTES element."""
# The base class comes from a package without types: this file runs in an environment of its own.
# mypy: disable-error-code="misc"

import json

from benches.inspect_bench.peer_stack.model_session import ModelSession
from mlserver import MLModel, types


class FrameModel(MLModel):
    """One frame a request."""

    async def load(self) -> bool:
        """Load the model."""
        self._session = ModelSession()
        return True

    async def predict(self, payload: types.InferenceRequest) -> types.InferenceResponse:
        """Judge the frame."""
        (frame,) = payload.inputs[0].data.root
        answer = json.dumps(self._session.infer(frame)).encode()
        output = types.ResponseOutput(
            name="answer", shape=[1], datatype="BYTES", data=types.TensorData(root=[answer])
        )
        return types.InferenceResponse(model_name=self.name, outputs=[output])
