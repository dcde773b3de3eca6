"""A process at the other end of two pipes: a line of JSON is asked, a line of JSON is answered."""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

SCRIPTS = Path(__file__).resolve().parents[2]
END_TIMEOUT_S = 10.0


class BenchProcessError(Exception):
    """A process of the bench has ended, or has failed at what it was asked."""


class BenchProcess:
    """Runs one of a bench's programs until the context is left."""

    def __init__(self, program: str, *arguments: str, package: str = "hub_bench") -> None:
        self._name = " ".join([program, *arguments])
        path = os.pathsep.join(filter(None, [str(SCRIPTS), os.environ.get("PYTHONPATH")]))
        module = f"benches.{package}.{program}"
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            env=os.environ | {"PYTHONPATH": path},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the process: it ends by itself when nothing more can be asked."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(END_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    @property
    def pid(self) -> int:
        """Return the process id."""
        return self._process.pid

    def ask(self, word: str, **arguments: Any) -> Any:
        """Ask and wait for the answer.

        Raises:
            BenchProcessError: It has no answer.
        """
        self.start(word, **arguments)
        return self.answer()

    def start(self, word: str, **arguments: Any) -> None:
        """Ask; `answer` waits."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": word, **arguments}) + "\n")
        self._process.stdin.flush()

    def answer(self) -> Any:
        """Wait for the answer to the last question.

        Raises:
            BenchProcessError: It has none.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BenchProcessError(f"{self._name} has ended")
        answer = json.loads(line)
        if "error" in answer:
            raise BenchProcessError(f"{self._name}: {answer['error']}")
        return answer["result"]


def serve(words: object) -> None:
    """Answer each question on standard input by the method of *words* that it names."""
    for line in sys.stdin:
        question = json.loads(line)
        try:
            answer = {"result": getattr(words, question.pop("do"))(**question)}
        except Exception as error:  # noqa: BLE001 - the asker raises it
            answer = {"error": f"{type(error).__name__}: {error} <- {error.__cause__}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()
