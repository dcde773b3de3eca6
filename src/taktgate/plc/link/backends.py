"""The backends by the names that the station file uses."""

from collections.abc import Mapping
from typing import Final

from taktgate.plc.link.cached_link import CachedLink
from taktgate.plc.link.logix import LogixLink

Backend = type[LogixLink] | type[CachedLink]
BACKENDS: Final[Mapping[str, Backend]] = {"pycomm3": LogixLink, "cached": CachedLink}
