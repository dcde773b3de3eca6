"""A registry on the shop floor: its static files over HTTP, with ranges, and nothing else."""

from pathlib import Path
from typing import Final

from aiohttp import web

from taktgate.registry.delivery.published import TIMESTAMP_NAME
from taktgate.registry.signed.repository import METADATA, TARGETS

_CHANGES: Final = "no-cache"
_NEVER_CHANGES: Final = "public, max-age=31536000, immutable"


def application(registry: Path) -> web.Application:
    """Return what serves the registry in the folder *registry*.

    Metadata and targets only: keys and settings may lie beside them.
    """
    served = web.Application()
    for part in (METADATA, TARGETS):
        served.router.add_static(f"/{part}", registry / part, show_index=False)
    served.on_response_prepare.append(_say_how_long)
    return served


async def _say_how_long(request: web.Request, response: web.StreamResponse) -> None:
    """Let proxies keep what never changes under its name: all but timestamp.json."""
    if response.status in (200, 206):
        is_fixed = request.path != f"/{TIMESTAMP_NAME}"
        response.headers["Cache-Control"] = _NEVER_CHANGES if is_fixed else _CHANGES
