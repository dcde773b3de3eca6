"""LitServe with one worker: the frame's bytes as the body, which FastAPI below it hands over."""
# The base class comes from a package without types: this file runs in an environment of its own.
# mypy: disable-error-code="misc"

import argparse
from typing import Annotated, Any

import litserve
from benches.inspect_bench.peer_stack.model_session import ModelSession
from fastapi import Body

RawBody = Annotated[bytes, Body(media_type="application/octet-stream")]


class FrameApi(litserve.LitAPI):
    """One frame a request."""

    def setup(self, device: str) -> None:
        """Load the model in the worker."""
        self.session = ModelSession()

    def decode_request(self, request: RawBody) -> bytes:
        """Take the body as it is."""
        return request

    def predict(self, x: bytes) -> dict[str, float]:
        """Judge the frame."""
        return self.session.infer(x)

    def encode_response(self, output: dict[str, float]) -> Any:
        """Answer in JSON."""
        return output


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    server = litserve.LitServer(
        FrameApi(api_path="/infer"), accelerator="cpu", workers_per_device=1
    )
    server.run(
        host="127.0.0.1",
        port=parser.parse_args().port,
        num_api_servers=1,
        log_level="warning",
        generate_client_file=False,
    )
