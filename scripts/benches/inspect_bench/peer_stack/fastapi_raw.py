"""FastAPI as thin as it can be: the frame's bytes as the body, over a unix socket."""

import argparse

import uvicorn
from benches.inspect_bench.peer_stack.model_session import ModelSession
from fastapi import FastAPI, Request


def build() -> FastAPI:
    """Return the application with a warm model."""
    app = FastAPI()
    model = ModelSession()

    @app.post("/infer")
    async def infer(request: Request) -> dict[str, float]:
        return model.infer(await request.body())

    return app


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--socket", required=True)
    uvicorn.run(build(), uds=parser.parse_args().socket, log_level="warning")
