"""edgeHub's metrics on port 9600 of the gateway, without TLS."""

from collections.abc import Callable

from aiohttp import web

from taktgate.standin.azure.http_serving import HttpSite

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class MetricsServer:
    """Serves `GET /metrics`."""

    def __init__(self, exposition: Callable[[], bytes]) -> None:
        self._exposition = exposition
        self._site = HttpSite()
        self.refusal: str | None = None
        """Why there are no metrics."""

    async def start(self, address: str, port: int) -> None:
        """Listen; without the right or the port, do without: `refusal` says why."""
        app = web.Application()
        app.router.add_get("/metrics", self._on_scrape)
        self.refusal = None
        try:
            await self._site.start(app, address, port)
        except OSError as error:
            self.refusal = f"port {port} of the gateway: {error.strerror}"

    async def stop(self) -> None:
        """Stop to listen and close what is open."""
        await self._site.stop()

    async def _on_scrape(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._exposition(), headers={"Content-Type": CONTENT_TYPE})
