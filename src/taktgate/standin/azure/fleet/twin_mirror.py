"""A client's own view of its twin: what is desired, what the hub holds of its report. Pure."""

from collections.abc import Mapping

from taktgate.standin.azure import twin_documents
from taktgate.standin.azure.json_types import JsonObject


class TwinMirror:
    """Follows `$version`, and finds the patch that brings the hub's copy to the newest report."""

    def __init__(self) -> None:
        self.desired: JsonObject = {}
        self.version: int | None = None
        """Of the desired properties; None before they were read."""
        self.reported: JsonObject = {}
        """What the hub holds."""
        self._in_flight: JsonObject | None = None

    def read(self, document: Mapping[str, JsonObject]) -> bool:
        """Take the whole twin as the hub answers a GET; return whether its desired part is news."""
        desired, reported = document.get("desired", {}), document.get("reported", {})
        version = int(desired.get("$version", 0))
        is_news = version != self.version
        self.desired, self.version = _content(desired), version
        self.reported = _content(reported)
        return is_news

    def patch_desired(self, patch: JsonObject, version: int) -> bool:
        """Take a change; return False when it does not follow: the whole twin must be read."""
        if self.version is None or version != self.version + 1:
            return self.version is not None and version <= self.version
        self.desired = twin_documents.merge(self.desired, _content(patch))
        self.version = version
        return True

    def next_patch(self, wanted: JsonObject) -> JsonObject:
        """Return what to send so that the hub comes to hold *wanted*; one patch at a time."""
        if self.version is None or self._in_flight is not None:
            return {}
        patch = twin_documents.difference(self.reported, wanted)
        if patch:
            self._in_flight = patch
        return patch

    def answered(self, *, is_taken: bool) -> None:
        """Take note of what became of the patch that was sent last."""
        if self._in_flight is not None and is_taken:
            self.reported = twin_documents.merge(self.reported, self._in_flight)
        self._in_flight = None

    def disconnected(self) -> None:
        """Forget what is under way: nobody knows what became of it."""
        self._in_flight = None


def _content(section: Mapping[str, object]) -> JsonObject:
    return {name: value for name, value in section.items() if name not in ("$version", "$metadata")}
