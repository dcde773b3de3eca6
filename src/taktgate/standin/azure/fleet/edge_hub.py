"""`$edgeHub` of a light device: takes its routes, or refuses them with the reason."""

import functools
import json

from taktgate.standin.azure.edgehub.config import config_report, parse_config
from taktgate.standin.azure.errors import ManifestError, RouteSyntaxError
from taktgate.standin.azure.fleet.behaviour import Desired, Effects, Event
from taktgate.standin.azure.json_types import JsonObject


class LightEdgeHub:
    """Reports on its configuration; it routes nothing."""

    def __init__(self) -> None:
        self._report: JsonObject = {}

    def resume(self, reported: JsonObject) -> Effects:
        """Start."""
        return ()

    def on(self, event: Event) -> Effects:
        """Take a configuration."""
        if isinstance(event, Desired) and event.document:
            refusal = _refusal(json.dumps(event.document, sort_keys=True))
            self._report = config_report(event.document, event.version, refusal)
        return ()

    def reported(self) -> JsonObject:
        """Return what became of the newest configuration."""
        return self._report


@functools.lru_cache(maxsize=64)
def _refusal(configuration: str) -> Exception | None:
    """Return why a configuration is refused; a fleet gets the same routes a thousand times."""
    try:
        parse_config(json.loads(configuration))
    except (ManifestError, RouteSyntaxError) as error:
        return error.with_traceback(None)
    return None
