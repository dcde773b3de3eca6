"""The other end of `sdk_process`: a module as a test sees it, with the SDK in its own process."""

import base64
import json
import queue
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.waiting import WITHIN_S

PROGRAM = Path(__file__).with_name("sdk_process.py")
TIMEOUT_S = WITHIN_S
ANSWER_TIMEOUT_S = 60.0


class SdkError(Exception):
    """The SDK raised.

    Attributes:
        kind: The name of the class that it raised.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


class SdkModule:
    """One process; `open` gives it a new client each time. Calls block, events are queued."""

    def __init__(self, flavour: str) -> None:
        self.messages: queue.Queue[dict[str, Any]] = queue.Queue()
        self.patches: queue.Queue[dict[str, Any]] = queue.Queue()
        self.methods: queue.Queue[dict[str, Any]] = queue.Queue()
        self.connections: queue.Queue[bool] = queue.Queue()
        self.name = ""
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._is_open = False
        self._process = subprocess.Popen(
            [sys.executable, str(PROGRAM), flavour],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def open(self, name: str, environment: Mapping[str, str], **options: Any) -> None:
        """Make a client of *environment* that is not connected yet.

        Raises:
            SdkError: The SDK refuses.
        """
        self.name = name
        for events in (self.messages, self.patches, self.methods, self.connections):
            events.queue.clear()
        self._ask("open", environment=dict(environment), options=options)
        self._is_open = True

    def connect(self) -> None:
        """Connect."""
        self._ask("connect")

    def disconnect(self) -> None:
        """Disconnect; the client can connect again."""
        self._ask("disconnect")

    def close(self) -> None:
        """Shut the client down, if there is one."""
        if self._is_open:
            self._is_open = False
            self._ask("close")

    def end(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(1.0)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._process.stdout.close()

    def send(self, body: str | bytes, *, output: str | None = "out", **fields: Any) -> None:
        """Send a message and wait for its receipt; *fields* are attributes of the SDK's message."""
        content = body.encode() if isinstance(body, str) else body
        encoded = base64.b64encode(content).decode("ascii")
        self._ask("send", output=output, body=encoded, fields=fields)

    def listen_to_messages(self) -> None:
        """Subscribe to the module's inputs."""
        self._ask("listen", what="on_message_received")

    def listen_to_patches(self) -> None:
        """Subscribe to changes of the desired properties."""
        self._ask("listen", what="on_twin_desired_properties_patch_received")

    def listen_to_methods(self, **answers: tuple[int, Any]) -> None:
        """Subscribe to direct methods; *answers* are status and payload by the method's name."""
        for name, (status, payload) in answers.items():
            self._ask("answer", name=name, status=status, payload=payload)
        self._ask("listen", what="on_method_request_received")

    def twin(self) -> dict[str, Any]:
        """Return the twin."""
        twin: dict[str, Any] = self._ask("twin")
        return twin

    def report(self, patch: dict[str, Any]) -> None:
        """Patch the reported properties."""
        self._ask("report", patch=patch)

    def invoke(self, device: str, module: str, method: str, **fields: Any) -> Any:
        """Call another module's direct method; *fields* go into the call as they are."""
        call = {"methodName": method, "responseTimeoutInSeconds": 30, **fields}
        return self._ask("invoke", device=device, module=module, call=call)

    def body(self) -> str:
        """Return the body of the next message."""
        return base64.b64decode(self.messages.get(timeout=TIMEOUT_S)["body"]).decode()

    def wait_for_bodies(self, *expected: str) -> None:
        """Take messages until each of *expected* has come, in any order; some may come twice."""
        missing = set(expected)
        while missing:
            body = self.body()
            assert body in expected
            missing.discard(body)

    def wait_until_connected(self, connected: bool = True) -> None:
        """Wait for the client to say that it is connected, or that it is not."""
        while self.connections.get(timeout=TIMEOUT_S) is not connected:
            pass

    def _ask(self, word: str, **arguments: Any) -> Any:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"do": word, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = self._answers.get(timeout=ANSWER_TIMEOUT_S)
        if "error" in answer:
            raise SdkError(answer["error"], answer["text"])
        return answer["result"]

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            said = json.loads(line)
            match said.get("event"):
                case None:
                    self._answers.put(said)
                case "message":
                    self.messages.put(said)
                case "patch":
                    self.patches.put(said["patch"])
                case "method":
                    self.methods.put(said)
                case "connection":
                    self.connections.put(said["connected"])
        self._answers.put({"error": "ProcessEnded", "text": "the SDK's process has ended"})
