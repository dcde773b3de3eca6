"""The FastAPI application: routes, statuses and OpenAPI. What happens behind them is elsewhere."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import FastAPI, Query, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, PlainTextResponse
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.routing import Route

from taktgate import __version__
from taktgate.edge.clock import monotonic_ns
from taktgate.inspection.surface.audit import Answer, Audit
from taktgate.inspection.surface.board import StatusBoard
from taktgate.inspection.surface.bodies import media_of, read_body
from taktgate.inspection.surface.clearing import ClearEndpoint
from taktgate.inspection.surface.counting import RequestCounting
from taktgate.inspection.surface.documents import (
    ClearAnswer,
    EscapeAnswer,
    Health,
    HoldAnswer,
    InferAnswer,
    Problem,
    Readiness,
    ReloadAnswer,
)
from taktgate.inspection.surface.errors import BadInputError, SurfaceError
from taktgate.inspection.surface.escapes import EscapeEndpoint
from taktgate.inspection.surface.health import health, is_alive, readiness
from taktgate.inspection.surface.holding import HoldEndpoint
from taktgate.inspection.surface.infer import InferEndpoint, RawShape
from taktgate.inspection.surface.limits import Limits
from taktgate.inspection.surface.openapi import (
    CLEAR,
    ESCAPE,
    HOLD,
    INFER_BODY,
    INFER_RESPONSES,
    READY_RESPONSES,
    RELEASE,
    RELOAD,
)
from taktgate.inspection.surface.pixels import MAX_CORRELATION_ID, Layout, Media
from taktgate.inspection.surface.reload import ReloadEndpoint
from taktgate.inspection.surface.stores import Stores
from taktgate.inspection.surface.token import SCHEME

RETRY_AFTER_S: Final = "1"
NEEDS_TOKEN: Final = Security(HTTPBearer(auto_error=False, scheme_name="controlToken"))
_RETRIED: Final = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """What the routes hand their requests to."""

    board: StatusBoard
    infer: InferEndpoint
    reload: ReloadEndpoint
    escapes: EscapeEndpoint
    clearing: ClearEndpoint
    holding: HoldEndpoint
    audit: Audit
    stores: Stores
    required_provider: str
    limits: Limits


def create_app(services: Services) -> FastAPI:
    """Return the application."""
    app = FastAPI(
        title="Taktgate inspection: control surface",
        version=__version__,
        description="For people and tools of this node. No part's verdict takes this way.",
        docs_url=None,  # its page would fetch scripts from elsewhere, and a station may have no net
        redoc_url=None,
        redirect_slashes=False,
    )
    _add_errors(app)
    _add_infer(app, services)
    _add_orders(app, services)
    _add_states(app, services)
    paths = [route.path for route in app.routes if isinstance(route, Route)]
    app.add_middleware(RequestCounting, paths=paths)
    return app


def _add_infer(app: FastAPI, services: Services) -> None:
    @app.post(
        "/infer",
        responses=INFER_RESPONSES,
        openapi_extra=INFER_BODY,
        summary="Ask the live model about one picture; no PLC hears of it",
    )
    async def infer(
        request: Request,
        width: Annotated[int | None, Query(ge=1, le=8192, description="raw uint8 only")] = None,
        height: Annotated[int | None, Query(ge=1, le=8192, description="raw uint8 only")] = None,
        channels: Annotated[int | None, Query(ge=1, le=3, description="1 or 3")] = None,
        layout: Annotated[Layout, Query(description="of raw bytes")] = Layout.UINT8_HWC,
        correlation_id: Annotated[
            str | None,
            Query(max_length=MAX_CORRELATION_ID, description="for bodies that cannot carry one"),
        ] = None,
    ) -> InferAnswer:
        shape = RawShape(width=width, height=height, channels=channels, layout=layout)
        return await services.infer.infer(request, shape, correlation_id)


def _add_orders(app: FastAPI, services: Services) -> None:
    @app.post(
        "/reload-model", status_code=HTTPStatus.ACCEPTED, dependencies=[NEEDS_TOKEN], **RELOAD
    )
    async def reload_model(request: Request, response: Response) -> ReloadAnswer:
        answer = await _order(request, services, services.reload.reload)
        if answer.status == "unchanged":
            response.status_code = HTTPStatus.OK
        return answer

    @app.post("/report-escape", dependencies=[NEEDS_TOKEN], **ESCAPE)
    async def report_escape(request: Request) -> EscapeAnswer:
        return await _order(request, services, services.escapes.report)

    @app.post("/clear-model", dependencies=[NEEDS_TOKEN], **CLEAR)
    async def clear_model(request: Request) -> ClearAnswer:
        return await _order(request, services, services.clearing.clear)

    @app.post("/hold", dependencies=[NEEDS_TOKEN], **HOLD)
    async def hold(request: Request) -> HoldAnswer:
        return await _order(request, services, services.holding.hold)

    @app.post("/release-hold", dependencies=[NEEDS_TOKEN], **RELEASE)
    async def release_hold(request: Request) -> HoldAnswer:
        return await _order(request, services, services.holding.release)


async def _order(
    request: Request, services: Services, work: Callable[[bytes], Awaitable[Answer]]
) -> Answer:
    """Have *work* done with the request's body, if its sender may; either way it is audited."""
    what = request.url.path.strip("/")
    client = "" if request.client is None else request.client.host
    services.audit.admit(what, request.headers.get("authorization"), client)
    limits = services.limits

    async def read_and_do() -> Answer:
        if media_of(request) is not Media.JSON:
            raise BadInputError(f"must be {Media.JSON}", field="Content-Type", status=415)
        body = await read_body(request, limit_bytes=limits.order_bytes, limit_s=limits.body_s)
        return await work(body)

    return await services.audit.done(what, client, read_and_do())


def _add_states(app: FastAPI, services: Services) -> None:
    @app.get(
        "/healthz",
        responses={503: {"model": Health, "description": "The agent's loop stands still"}},
        summary="Whether the agent lives",
    )
    async def healthz(response: Response) -> Health:
        facts, now_ns = services.board.facts, monotonic_ns()
        if not is_alive(facts, now_ns):
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return health(facts, now_ns)

    @app.get(
        "/readyz", responses=READY_RESPONSES, summary="Whether a part could be judged, or why not"
    )
    def readyz(response: Response) -> Readiness:  # in a worker thread: it looks at disks
        answer = readiness(
            services.board.facts,
            monotonic_ns(),
            required_provider=services.required_provider,
            stores=services.stores.faults(),
        )
        if not answer.ready:
            response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
        return answer

    @app.get(
        "/metrics",
        response_class=PlainTextResponse,
        summary="The same text as on the metrics port",
    )
    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


def _add_errors(app: FastAPI) -> None:
    @app.exception_handler(SurfaceError)
    async def refused(_: Request, error: SurfaceError) -> JSONResponse:
        problem = Problem(detail=str(error), field=error.field, rule=error.rule)
        return _problem(error.status, problem)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        fault = error.errors()[0]
        field, rule = ".".join(str(step) for step in fault["loc"]), fault["msg"]
        return _problem(422, Problem(detail=f"{field}: {rule}", field=field, rule=rule))

    @app.exception_handler(HTTPException)
    async def unknown(_: Request, error: HTTPException) -> JSONResponse:
        headers = dict(error.headers or {})
        return _problem(error.status_code, Problem(detail=str(error.detail)), headers)


def _problem(
    status: int, problem: Problem, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    extra: dict[str, str] = dict(headers or {})
    if status in _RETRIED:
        extra["Retry-After"] = RETRY_AFTER_S
    if status == HTTPStatus.UNAUTHORIZED:
        extra["WWW-Authenticate"] = SCHEME
    content: dict[str, Any] = problem.model_dump()
    return JSONResponse(content, status_code=status, headers=extra)
