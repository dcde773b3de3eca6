"""What of a message a condition may ask for."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from taktgate.standin.azure.edgehub.routes import body as json_body
from taktgate.standin.azure.edgehub.routes import dotnet
from taktgate.standin.azure.edgehub.routes.values import UNDEFINED, Text

_CONTENT_TYPE: Final = "CONTENTTYPE"
_CONTENT_ENCODING: Final = "CONTENTENCODING"

log = logging.getLogger(__name__)


class _Indexes:
    """What is worked out from a message at most once, and only when a condition asks."""

    __slots__ = ("application", "document", "system")

    def __init__(self) -> None:
        self.application: dict[str, Text] | None = None
        self.system: dict[str, Text] | None = None
        self.document: Mapping[str, Any] | str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFacts:
    """A message as conditions see it: names are found in any case, the body is read lazily.

    Attributes:
        properties: Application properties; a value may be null.
        system: System properties by their names in conditions, without `$` (`contentType`).
        body: The payload.
    """

    properties: Mapping[str, str | None] = field(default_factory=dict)
    system: Mapping[str, str | None] = field(default_factory=dict)
    body: bytes = b""
    _indexes: _Indexes = field(default_factory=_Indexes, init=False, repr=False, compare=False)

    def application_property(self, folded: str) -> Text:
        """Return an application property by its name in `dotnet.upper` letters."""
        index = self._indexes.application
        if index is None:
            index = self._indexes.application = _by_folded_name(self.properties)
        return index.get(folded, UNDEFINED)

    def system_property(self, folded: str) -> Text:
        """Return a system property by its name in `dotnet.upper` letters."""
        index = self._indexes.system
        if index is None:
            index = self._indexes.system = _by_folded_name(self.system)
        return index.get(folded, UNDEFINED)

    def document(self) -> Mapping[str, Any] | None:
        """Return the body's JSON object, None when conditions cannot read the body (logged once).

        They need the content type `application/json` and an encoding of utf-8, utf-16 or utf-32
        (Azure/iotedge `Message.cs`).
        """
        document = self._indexes.document
        if document is None:
            document = json_body.read_document(
                self.system_property(_CONTENT_TYPE),
                self.system_property(_CONTENT_ENCODING),
                self.body,
            )
            self._indexes.document = document
            if isinstance(document, str):
                log.info("a route asks for a body that it cannot read", extra={"reason": document})
        return None if isinstance(document, str) else document


def _by_folded_name(values: Mapping[str, str | None]) -> dict[str, Text]:
    folded: dict[str, Text] = {}
    for name, value in values.items():
        text = None if value is None else dotnet.utf16(value)
        folded.setdefault(dotnet.upper(dotnet.utf16(name)), text)
    return folded
