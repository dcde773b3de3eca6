"""Requests to every endpoint of the control surface, to be damaged."""

import io
import json
from dataclasses import dataclass
from random import Random
from typing import Any

from PIL import Image

from fuzzers.mutation import ODD_TEXT, mutate_bytes, mutate_json, mutate_text

JSON, RAW = "application/json", "application/octet-stream"
KINDS = (JSON, RAW, "image/jpeg", "image/png", "image/gif", "text/plain", "", "application/json;x")
TENSOR: dict[str, Any] = {
    "tensor": [0.0, 0.5, 1.0, 0.25],
    "threshold": 0.5,
    "correlation_id": "part-1",
}
ORDERS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("/reload-model", {"model_name": "weld-seam-1.0.0"}),
    ("/reload-model", {"model_name": "../../etc/passwd"}),
    ("/reload-model", {"digest": "sha256:" + "0" * 64}),
    ("/report-escape", {"trigger_id": 4711, "defect_class": "porosity"}),
    ("/clear-model", {"digest": "sha256:" + "0" * 64}),
    ("/hold", {"reason": "changeover"}),
    ("/release-hold", {}),
)
PATHS = ("/healthz", "/readyz", "/metrics", "/openapi.json", "/", "/infer/", "/reload-model/x")
QUERY_WORDS = ("width=4", "height=-1", "channels=2", "layout=float32_chw", "correlation_id=x", "&")


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceCase:
    """One request; `raw` instead of the rest, when it is not empty."""

    method: str
    path: str
    kind: str = ""
    authorization: str = ""
    body: bytes = b""
    raw: bytes = b""

    def encode(self) -> bytes:
        """Return the bytes to send."""
        lines = [f"{self.method} {self.path} HTTP/1.1", "Host: x", "Connection: close"]
        if self.kind:
            lines.append(f"Content-Type: {self.kind}")
        if self.authorization:
            lines.append(f"Authorization: {self.authorization}")
        if self.body or self.method == "POST":
            lines.append(f"Content-Length: {len(self.body)}")
        head = "\r\n".join(lines) + "\r\n\r\n"
        return head.encode("utf-8", "surrogatepass") + self.body


def make_case(random: Random) -> SurfaceCase:
    """Return a request to one of the endpoints, damaged in one of its parts or not at all."""
    match random.randrange(5):
        case 0:
            return _infer_json(random)
        case 1:
            return _infer_raw(random)
        case 2:
            return _infer_file(random)
        case 3:
            return _order(random)
        case _:
            method = random.choice(("GET", "GET", "HEAD", "PUT", "DELETE", "OPTIONS", "PATCH"))
            path = random.choice((*PATHS, "/infer", "/reload-model", "/report-escape"))
            return SurfaceCase(method=method, path=path)


def _infer_json(random: Random) -> SurfaceCase:
    document = mutate_json(random, TENSOR)
    body = json.dumps(document).encode()
    if random.random() < 0.3:
        body = mutate_bytes(random, body)
    return SurfaceCase(method="POST", path="/infer", kind=_kind(random, JSON), body=body)


def _infer_raw(random: Random) -> SurfaceCase:
    query = random.choice(
        ("width=4&height=4&channels=1", "width=4&height=4&channels=3", "layout=float32_chw", "")
    )
    if random.random() < 0.4:
        query = mutate_text(random, query, QUERY_WORDS)
    safe = "".join(c for c in query if "!" <= c <= "~")
    body = random.randbytes(random.choice((0, 15, 16, 48, 64, 1024)))
    kind = _kind(random, RAW)
    return SurfaceCase(method="POST", path=f"/infer?{safe}", kind=kind, body=body)


def _infer_file(random: Random) -> SurfaceCase:
    kind = random.choice(("JPEG", "PNG"))
    size = (random.choice((1, 4, 64, 400)), random.choice((1, 64, 400)))
    mode = random.choice(("L", "RGB") if kind == "JPEG" else ("L", "RGB", "RGBA", "P", "I;16"))
    data = io.BytesIO()
    Image.new(mode, size).save(data, kind)
    body = data.getvalue()
    for _ in range(random.randrange(4)):
        body = mutate_bytes(random, body)
    said = _kind(random, f"image/{kind.lower()}")
    return SurfaceCase(method="POST", path="/infer", kind=said, body=body)


def _order(random: Random) -> SurfaceCase:
    path, request = random.choice(ORDERS)
    document = mutate_json(random, request)
    token = random.choice(("", "Bearer", "Bearer x", "Basic eDp4", random.choice(ODD_TEXT)))
    safe = "".join(c for c in token if " " <= c <= "~" or c > "\xa0")
    body = json.dumps(document).encode()
    if random.random() < 0.2:
        body = mutate_bytes(random, body)
    return SurfaceCase(
        method="POST",
        path=path,
        kind=_kind(random, JSON),
        authorization=safe,
        body=body,
    )


def _kind(random: Random, kind: str) -> str:
    return kind if random.random() < 0.9 else random.choice(KINDS)
