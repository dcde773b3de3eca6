"""The surface in the agent: wired, bound and served, in a thread that steps behind everything."""

import logging
import os
import socket
from dataclasses import dataclass
from typing import Final

import uvicorn

from taktgate.edge.clock import MILLISECOND
from taktgate.edge.places import Places
from taktgate.edge.process import take_idle_priority
from taktgate.edge.settings import StationSettings
from taktgate.inspection.pool.starter import Terms
from taktgate.inspection.surface.app import Services, create_app
from taktgate.inspection.surface.audit import Audit
from taktgate.inspection.surface.board import StatusBoard
from taktgate.inspection.surface.clearing import ClearEndpoint
from taktgate.inspection.surface.escapes import EscapeEndpoint
from taktgate.inspection.surface.holding import HoldEndpoint
from taktgate.inspection.surface.infer import InferEndpoint
from taktgate.inspection.surface.infer_service import InferService
from taktgate.inspection.surface.limits import Limits
from taktgate.inspection.surface.operator import Operator
from taktgate.inspection.surface.protocol import bounded_protocol
from taktgate.inspection.surface.reload import ReloadEndpoint
from taktgate.inspection.surface.slots import SlotCatalog
from taktgate.inspection.surface.stores import Stores
from taktgate.inspection.surface.token import TokenGuard

log = logging.getLogger(__name__)

_BACKLOG: Final = 64
DEFAULT_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """What the surface needs of the agent."""

    board: StatusBoard
    operator: Operator


class Surface:
    """The HTTP server and the infer service behind it."""

    def __init__(
        self,
        places: Places,
        settings: StationSettings,
        agent: Agent,
        *,
        limits: Limits = DEFAULT_LIMITS,
        at_idle_priority: bool = True,
    ) -> None:
        self._at_idle_priority = at_idle_priority
        trusted_keys = places.config / "trusted_keys"
        catalog = SlotCatalog(
            places.slots, trusted_keys=trusted_keys, device_class=settings.device_class
        )
        terms = Terms(
            slots=places.slots,
            trusted_keys=trusted_keys,
            device_class=settings.device_class,
            threads=1,
            arena=settings.judge.arena,
            provider=settings.judge.provider,
            gpu_memory_mb=settings.judge.gpu_memory_mb,
            image_gate=settings.image_gate,
        )
        self.infer_service = InferService(
            terms,
            catalog,
            lambda: agent.board.facts.live,
            run_limit_ns=settings.surface.infer_limit_ms * MILLISECOND,
            limits=limits,
            at_idle_priority=at_idle_priority,
        )
        operator = agent.operator
        services = Services(
            board=agent.board,
            infer=InferEndpoint(self.infer_service, limits),
            reload=ReloadEndpoint(catalog, agent.board, operator, limit_s=limits.order_s),
            escapes=EscapeEndpoint(places.records, agent.board, operator, limit_s=limits.order_s),
            clearing=ClearEndpoint(operator, limit_s=limits.order_s),
            holding=HoldEndpoint(operator, limit_s=limits.order_s),
            audit=Audit(TokenGuard(places.control_token_file)),
            stores=Stores({"state": places.state, "records": places.records}),
            required_provider=settings.judge.provider,
            limits=limits,
        )
        self._server = uvicorn.Server(
            uvicorn.Config(
                create_app(services),
                http=bounded_protocol(limits),
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_config=None,
                log_level="error",  # a flood of bad requests shall not flood the log
                access_log=False,
                proxy_headers=False,
                server_header=False,
                limit_concurrency=limits.concurrency,
                timeout_keep_alive=limits.keep_alive_s,
                timeout_graceful_shutdown=2,
                h11_max_incomplete_event_size=limits.head_bytes,
            )
        )

    def serve(self, listener: socket.socket) -> None:
        """Serve on *listener* until `stop`; blocks."""
        if self._at_idle_priority:
            take_idle_priority()
        self.infer_service.start()
        try:
            self._server.run(sockets=[listener])
        finally:
            self.infer_service.stop()

    def stop(self) -> None:
        """End `serve`; may be called from any thread."""
        self._server.should_exit = True


def bind(host: str, port: int) -> socket.socket:
    """Return the listening socket.

    Raises:
        OSError: the address or the port cannot be had; its text names both.
    """
    try:
        return socket.create_server((host, port), backlog=_BACKLOG)
    except OSError as error:
        why = error.strerror or os.strerror(error.errno or 0)
        raise OSError(error.errno, f"control surface {host}:{port}: {why}") from error
