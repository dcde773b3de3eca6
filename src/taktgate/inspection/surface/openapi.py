"""The parts of the OpenAPI document that cannot be read from types: raw bodies, every status."""

from typing import Any, Final, TypedDict

from pydantic import BaseModel

from taktgate.inspection.surface.documents import (
    ClearRequest,
    EscapeRequest,
    HoldRequest,
    Problem,
    Readiness,
    ReleaseRequest,
    ReloadAnswer,
    ReloadRequest,
)
from taktgate.inspection.surface.pixels import MAX_CORRELATION_ID, Media

Responses = dict[int | str, dict[str, Any]]


class Operation(TypedDict):
    """What a route says of itself beside its path and its types, as FastAPI's arguments."""

    summary: str
    responses: Responses
    openapi_extra: dict[str, Any]


_RETRY: Final = {
    "Retry-After": {"schema": {"type": "string"}, "description": "Seconds", "required": True}
}


def _problem(description: str, detail: str, field: str, **more: Any) -> dict[str, Any]:
    """Return a response of kind `Problem` with an example."""
    rule = detail.partition(": ")[2] if field else detail
    example = {"detail": detail, "field": field, "rule": rule}
    content = {"application/json": {"example": example}}
    return {"model": Problem, "description": description, "content": content, **more}


_TOO_LARGE: Final = _problem("Too large", "body: must have at most 25165824 bytes", "body")
_TOO_SLOW: Final = _problem("The body came too slowly", "body: must be complete in time", "body")
_GONE: Final = _problem("No whole request", "body: its sender has gone", "body")
_UNAVAILABLE: Final = _problem(
    "No answer now, or not in time",
    "Inference exceeded 2000 ms timeout. Downstream adapter must apply configured fail-safe.",
    "",
    headers=_RETRY,
)

INFER_RESPONSES: Final[Responses] = {
    200: {
        "description": "The model's opinion",
        "content": {
            "application/json": {
                "example": {
                    "defective": False,
                    "score": 0.03,
                    "latency_ms": 41.2,
                    "model_version": "weld-seam-1.0.0",
                    "correlation_id": "part-4711",
                    "verdict": "PASS",
                    "reason": "NONE",
                    "class_scores": {"porosity": 0.03, "crack": 0.01},
                    "decided_by": "porosity",
                    "run_ms": 8.6,
                    "provider": "CPUExecutionProvider",
                    "digest": "sha256:" + "0" * 64,
                }
            }
        },
    },
    400: _GONE,
    408: _TOO_SLOW,
    413: _TOO_LARGE,
    415: _problem(
        "No such content type", "Content-Type: must be one of application/json", "Content-Type"
    ),
    422: _problem(
        "A rule is broken: bounds, a value that is not finite, a size, a broken image",
        "tensor[17]: Input should be a finite number",
        "tensor[17]",
    ),
    429: _problem("Too many at once", "4 requests are being answered already", "", headers=_RETRY),
    503: _UNAVAILABLE,
}

_ORDER_RESPONSES: Final[Responses] = {
    400: _GONE,
    401: _problem(
        "No token, or another one",
        "Authorization: must be `Bearer <control token>`",
        "Authorization",
        headers={
            "WWW-Authenticate": {
                "schema": {"type": "string"},
                "description": "The scheme",
                "required": True,
            }
        },
    ),
    403: _problem("This station has no token", "no control token is configured: nobody may", ""),
    408: _TOO_SLOW,
    413: _TOO_LARGE,
    415: _problem("No JSON", "Content-Type: must be application/json", "Content-Type"),
    503: _UNAVAILABLE,
}

READY_RESPONSES: Final[Responses] = {
    503: {"model": Readiness, "description": "No part could be judged now; `checks` says why"}
}


def _order(
    summary: str, body: type[BaseModel], *, example: dict[str, object], answers: Responses
) -> Operation:
    """Return what a route with a JSON *body* and a token says of itself."""
    content = {Media.JSON.value: {"schema": body.model_json_schema(), "example": example}}
    return Operation(
        summary=summary,
        responses={**_ORDER_RESPONSES, **answers},
        openapi_extra={"requestBody": {"required": True, "content": content}},
    )


RELOAD: Final = _order(
    "Order a model that lies verified in a slot; it goes through its trial",
    ReloadRequest,
    example={"model_name": "weld-seam-1.0.0"},
    answers={
        200: {"model": ReloadAnswer, "description": "It judges already and is confirmed"},
        202: {"model": ReloadAnswer, "description": "Accepted: probe, shadow and trial follow"},
        404: _problem("No slot holds it", "no slot holds such a bundle", ""),
        409: _problem(
            "It is blocked, does not verify here, or the name fits several",
            "SIGNATURE: no trusted key signed the manifest",
            "",
        ),
        422: _problem(
            "A rule is broken",
            "model_name: String should match pattern",
            "model_name",
        ),
    },
)

ESCAPE: Final = _order(
    "Report a part that had passed and is defective: its model may be sent back",
    EscapeRequest,
    example={"trigger_id": 4711, "defect_class": "porosity"},
    answers={
        200: {"description": "It is held against the model that had passed the part"},
        404: _problem(
            "Nothing says which model it was",
            "trigger_id: no record of this part is left: digest must name the model that passed it",
            "trigger_id",
        ),
        409: _problem(
            "The part did not pass, or its model judges here no more",
            "trigger_id: the part did not pass: FAIL, NONE",
            "trigger_id",
        ),
        422: _problem("A rule is broken", "defect_class: Field required", "defect_class"),
    },
)

CLEAR: Final = _order(
    "Let a model that was sent back here be ordered again",
    ClearRequest,
    example={"digest": "sha256:" + "0" * 64},
    answers={
        200: {"description": "It may be ordered again"},
        404: _problem("Nobody has sent it back", "digest: it is not blocked here", "digest"),
        422: _problem("A rule is broken", "digest: String should match pattern", "digest"),
    },
)

HOLD: Final = _order(
    "Say 'not now' to new models: none is fetched or announced",
    HoldRequest,
    example={"reason": "changeover of the gripper"},
    answers={
        200: {"description": "New models are neither fetched nor announced from now on"},
        422: _problem("A rule is broken", "reason: Field required", "reason"),
    },
)

RELEASE: Final = _order(
    "Let new models come again",
    ReleaseRequest,
    example={},
    answers={
        200: {"description": "New models may come again"},
        404: _problem("There is no hold", "nobody holds new models back", ""),
        422: _problem("A rule is broken", "why: Extra inputs are not permitted", "why"),
    },
)

_TENSOR: Final = {
    "type": "object",
    "additionalProperties": False,
    "required": ["tensor"],
    "properties": {
        "tensor": {
            "type": "array",
            "items": {"type": "number", "minimum": 0, "maximum": 1},
            "description": "CHW, exactly 3 x height x width of the live model",
        },
        "threshold": {
            "anyOf": [{"type": "number", "minimum": 0, "maximum": 1}, {"type": "null"}],
            "description": "Only the bundle's own is taken: the limit is signed",
        },
        "correlation_id": {
            "anyOf": [{"type": "string", "maxLength": MAX_CORRELATION_ID}, {"type": "null"}]
        },
    },
}
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}

INFER_BODY: Final = {
    "requestBody": {
        "required": True,
        "content": {
            Media.JSON.value: {
                "schema": _TENSOR,
                "example": {"tensor": [0.5, 0.5, 0.5], "correlation_id": "part-4711"},
            },
            **{media.value: _BINARY for media in Media if media is not Media.JSON},
        },
    }
}
