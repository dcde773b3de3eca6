"""The stager's loop: mail, work, report. To go on with an order, it needs no hub and no network."""

import logging
from collections.abc import Callable
from dataclasses import replace

from taktgate.contracts.twins import TypedError
from taktgate.edge.exits import EXIT_LINK_FATAL
from taktgate.edge.hub import HubClient
from taktgate.staging.errors import RetriedError, SupersededError
from taktgate.staging.journal import Journal
from taktgate.staging.mailbox import Mailbox
from taktgate.staging.orders import POLL_S, OrderDesk
from taktgate.staging.reporting import Reporter
from taktgate.staging.stager import Stager
from taktgate.staging.typed import typed

log = logging.getLogger(__name__)


class LinkLostForGoodError(RuntimeError):
    """The hub client cannot recover in this process."""


class StagerAgent:
    """One thread that does everything; the hub's threads only fill the mailbox."""

    def __init__(
        self,
        *,
        hub: HubClient,
        desk: OrderDesk,
        stager: Stager,
        journal: Journal,
        reporter: Reporter,
        make_way: Callable[[], None],
        complaint: TypedError | None = None,
    ) -> None:
        """Take the stager's parts, and a *complaint* to report while nothing graver is wrong."""
        self._complaint = complaint
        self._make_way = make_way
        self._hub = hub
        self._desk = desk
        self._stager = stager
        self._journal = journal
        self._reporter = reporter
        self._mailbox = Mailbox()
        self._is_recovered = False
        self._hindrance: TypedError | None = None
        """Why what the last run left behind is not cleared up and verified yet."""

    def run(self) -> int:
        """Work until SIGTERM raises SystemExit; return EXIT_LINK_FATAL if the link is past hope."""
        self._hub.start(self._mailbox.put)
        try:
            while True:
                pause_s = self.step()
                self._mailbox.wait(pause_s)
        except LinkLostForGoodError as error:
            log.critical("ending, to be started anew", extra={"error": str(error)})
            return EXIT_LINK_FATAL
        finally:
            self._hub.stop()

    def step(self) -> float:
        """Read the mail, do what can be done, report it; return how long to wait for mail.

        Raises:
            LinkLostForGoodError: the hub client cannot recover in this process.
        """
        self._make_way()
        if not self._is_recovered:
            self._recover()
        self._read_mail()
        pause_s = self._desk.work(self._check)
        self._report()
        return min(pause_s, POLL_S)

    def _recover(self) -> None:
        """Clear up after the last run; what hinders that is reported, and it is tried again."""
        try:
            self._stager.recover()
        except RetriedError as error:
            self._hindrance = typed(error, self._journal.record.request)
        else:
            self._is_recovered, self._hindrance = True, None

    def _check(self) -> None:
        """Between pieces of long work: report it, and see whether it is still wanted.

        Raises:
            SupersededError: the twin asks for something else by now.
            LinkLostForGoodError: the hub client cannot recover in this process.
        """
        self._read_mail()
        self._report()
        if self._desk.has_newer_order:
            raise SupersededError("the twin asks for something else by now")

    def _read_mail(self) -> None:
        mail = self._mailbox.take()
        if mail.twin is not None:
            self._desk.take(mail.twin)
        for call in mail.calls:
            call.respond(404, {"error": f"model_stager has no direct method {call.name!r}"})
        if mail.fatal is not None:
            raise LinkLostForGoodError(mail.fatal)

    def _report(self) -> None:
        report = self._desk.report()
        if report.lastError is None:
            report = replace(report, lastError=self._hindrance or self._complaint)
        self._reporter.tell(report, self._journal.announced)
