"""What the hub told us. Events come on the SDK's threads; the agent's one thread takes them out."""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from taktgate.edge.hub import DesiredTwin, HubEvent, LinkFatal, MethodCall

MAX_CALLS: Final = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Mail:
    """What came since the last look: of twins only the newest."""

    twin: Mapping[str, object] | None = None
    calls: tuple[MethodCall, ...] = ()
    fatal: str | None = None


class Mailbox:
    """Holds the mail; what a newer event makes pointless is dropped, so it cannot overflow."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._mail = Mail()

    def put(self, event: HubEvent) -> None:
        """Take *event* in, from any thread."""
        with self._news:
            mail = self._mail
            if isinstance(event, DesiredTwin):
                self._mail = replace(mail, twin=event.document)
            elif isinstance(event, MethodCall):
                self._mail = replace(mail, calls=(*mail.calls, event)[-MAX_CALLS:])
            elif isinstance(event, LinkFatal):
                self._mail = replace(mail, fatal=event.reason)
            else:
                return
            self._news.notify()

    def wait(self, timeout_s: float) -> None:
        """Return when there is mail, and after *timeout_s* without."""
        with self._news:
            self._news.wait_for(lambda: self._mail != Mail(), timeout_s)

    def take(self) -> Mail:
        """Return the mail and leave the box empty."""
        with self._news:
            mail, self._mail = self._mail, Mail()
        return mail
