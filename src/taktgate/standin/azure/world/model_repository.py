"""The model repository: static files of one directory over HTTP, with range requests."""

from pathlib import Path

from aiohttp import web

from taktgate.standin.azure.http_serving import HttpSite, as_port_in_use


class ModelRepository:
    """Serves the files below *directory*; nothing is listed and nothing can be written."""

    def __init__(self, directory: Path, address: str) -> None:
        self.directory = directory
        self._address = address
        self._site = HttpSite()
        self.url = ""

    async def start(self, port: int = 0) -> None:
        """Listen; `url` then holds the repository's address.

        Raises:
            PortInUseError: Another program listens there.
        """
        self.directory.mkdir(parents=True, exist_ok=True)
        app = web.Application()
        app.router.add_static("/", self.directory)
        try:
            bound = await self._site.start(app, self._address, port)
        except OSError as error:
            rule = "the model repository serves here; choose another port"
            raise as_port_in_use(error, self._address, port, rule) from error
        self.url = f"http://{self._address}:{bound}"

    async def stop(self) -> None:
        """Stop to listen and close what is open."""
        await self._site.stop()
