"""A module's view of its own twin: desired documents by version, reported state to be sent."""

import copy
import threading
from collections.abc import Mapping

from taktgate.edge.hub import DesiredTwin

NEVER = -1
Document = dict[str, object]


class DesiredState:
    """Merges patches into the full desired document and respects `$version`."""

    def __init__(self) -> None:
        self._document: Document = {}
        self._version = NEVER

    def replace(self, desired: Mapping[str, object]) -> DesiredTwin | None:
        """Take a full document; return it if it is news. One without `$version` counts as 0."""
        document, version = _split(desired)
        version = 0 if version is None else version
        is_news = version > self._version or (
            version == self._version and document != self._document
        )
        if not is_news:
            return None
        self._document, self._version = document, version
        return self._twin()

    def patch(self, patch: Mapping[str, object]) -> DesiredTwin | None:
        """Merge the patch that follows the known version; an old one is ignored.

        Raises:
            VersionGapError: Patches in between are missing: get the full document.
        """
        content, version = _split(patch)
        if version is None or version > self._version + 1 or self._version == NEVER:
            raise VersionGapError(f"patch {version} does not follow {self._version}")
        if version <= self._version:
            return None
        self._document, self._version = merge(self._document, content), version
        return self._twin()

    def _twin(self) -> DesiredTwin:
        return DesiredTwin(document=copy.deepcopy(self._document), version=self._version)


class VersionGapError(Exception):
    """A desired patch does not follow the version that is known."""


class ReportedState:
    """All that a module has reported; thread-safe. Deleted names are remembered."""

    def __init__(self) -> None:
        self._wanted: Document = {}
        self._touched: set[str] = set()
        self._confirmed: Document = {}
        self._sent: Document = {}
        self._sent_names: set[str] = set()
        self._sends_all = False
        self._lock = threading.Lock()

    def report(self, patch: Mapping[str, object]) -> None:
        """Merge *patch* into the state; null deletes."""
        with self._lock:
            self._wanted = merge(self._wanted, patch)
            self._touched |= patch.keys()

    def connected(self, reported: Mapping[str, object]) -> None:
        """Take what the server holds after a connect; everything is sent again."""
        with self._lock:
            self._confirmed = _split(reported)[0]
            self._sends_all = True

    def take_patch(self) -> Document:
        """Return the patch that brings the server to the newest state; empty if it is there.

        Its fate must be told, by `confirm` or `refuse`, before the next one is taken.
        """
        with self._lock:
            wanted = {name: self._wanted.get(name) for name in self._touched}
            known = {name: v for name, v in self._confirmed.items() if name in self._touched}
            patch = difference(known, {n: v for n, v in wanted.items() if v is not None})
            if self._sends_all:
                patch = _overlaid(patch, self._wanted)
            self._sent, self._sent_names = copy.deepcopy(self._wanted), set(self._touched)
            return patch

    def confirm(self) -> None:
        """Take note that the server has taken the last patch."""
        with self._lock:
            others = {n: v for n, v in self._confirmed.items() if n not in self._sent_names}
            self._confirmed = {**others, **self._sent}
            self._sends_all = False

    def refuse(self) -> None:
        """Take note that the server has refused the last patch: nobody knows what it holds now."""
        with self._lock:
            self._sends_all = True


def merge(document: Mapping[str, object], patch: Mapping[str, object]) -> Document:
    """Return *document* with *patch* merged in; null deletes."""
    merged = dict(document)
    for name, value in patch.items():
        if value is None:
            merged.pop(name, None)
        elif isinstance(value, Mapping):
            current = merged.get(name)
            merged[name] = merge(current if isinstance(current, Mapping) else {}, value)
        else:
            merged[name] = copy.deepcopy(value)
    return merged


def difference(old: Mapping[str, object], new: Mapping[str, object]) -> Document:
    """Return the patch that turns *old* into *new*."""
    patch: Document = {name: None for name in old if name not in new}
    for name, value in new.items():
        current = old.get(name)
        if isinstance(value, Mapping) and isinstance(current, Mapping):
            if nested := difference(current, value):
                patch[name] = nested
        elif name not in old or current != value or type(current) is not type(value):
            patch[name] = copy.deepcopy(value)
    return patch


def _overlaid(patch: Mapping[str, object], state: Mapping[str, object]) -> Document:
    """Return *patch* with all of *state* in it, and the patch's nulls kept."""
    result = dict(patch)
    for name, value in state.items():
        current = result.get(name)
        if isinstance(value, Mapping) and isinstance(current, Mapping):
            result[name] = _overlaid(current, value)
        else:
            result[name] = copy.deepcopy(value)
    return result


def _split(document: Mapping[str, object]) -> tuple[Document, int | None]:
    version = document.get("$version")
    content = {name: value for name, value in document.items() if not name.startswith("$")}
    return content, version if isinstance(version, int) else None
