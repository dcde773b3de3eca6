"""One run of edgeHub, from the start of its container to its stop."""

from collections.abc import Mapping

from taktgate.standin.azure.clock import Clock, Timer
from taktgate.standin.azure.device_link import DeviceLink, MethodResult
from taktgate.standin.azure.edgehub.authentication import Authenticator
from taktgate.standin.azure.edgehub.clients import Clients
from taktgate.standin.azure.edgehub.database import Database
from taktgate.standin.azure.edgehub.message_store import MessageStore
from taktgate.standin.azure.edgehub.methods import MethodCalls
from taktgate.standin.azure.edgehub.metrics import EdgeHubMetrics
from taktgate.standin.azure.edgehub.module_sender import ModuleSender
from taktgate.standin.azure.edgehub.pump import PumpPolicy, Sender
from taktgate.standin.azure.edgehub.requests import ModuleRequests
from taktgate.standin.azure.edgehub.router import UPSTREAM_ENDPOINT, Router
from taktgate.standin.azure.edgehub.routes.language import UPSTREAM, Endpoint
from taktgate.standin.azure.edgehub.session import ModuleSession
from taktgate.standin.azure.edgehub.settings import EdgeHubSettings
from taktgate.standin.azure.edgehub.subscriptions import StoredSubscriptions
from taktgate.standin.azure.edgehub.twins import TwinStore
from taktgate.standin.azure.edgehub.upstream import UpstreamSender
from taktgate.standin.azure.method_calls import MethodRequest
from taktgate.standin.azure.quirks import QuirkBoard


class EdgeHubRun:
    """Everything of edgeHub that is in memory only; what outlives it is in the database."""

    def __init__(
        self,
        *,
        link: DeviceLink,
        hub_hostname: str,
        settings: EdgeHubSettings,
        clock: Clock,
        quirks: QuirkBoard,
        database: Database,
        twins: TwinStore,
    ) -> None:
        self.settings = settings
        self._link = link
        self._clock = clock
        self._quirks = quirks
        self._subscriptions = StoredSubscriptions(database)
        self._sessions: dict[str, ModuleSession] = {}
        self._cleanup: Timer | None = None
        self.metrics = EdgeHubMetrics(
            hub_hostname=hub_hostname,
            device=link.device,
            date_s=lambda: clock.utc().timestamp(),
        )
        self.store = MessageStore(
            database,
            clock=clock,
            drops=self.metrics,
            limit_bytes=settings.store_limit_bytes,
            is_disk_full=lambda: quirks.is_on("disk-full"),
        )
        self.router = Router(
            device=link.device,
            store=self.store,
            make_sender=self._make_sender,
            metrics=self.metrics,
            policies=self._policy,
            clock=clock,
        )
        self.methods = MethodCalls(
            self.session,
            link.device,
            clock=clock,
            queued_delay_s=settings.queued_method_delay_s,
        )
        self.requests = ModuleRequests(
            device=link.device,
            router=self.router,
            twins=twins,
            methods=self.methods,
            metrics=self.metrics,
            quirks=quirks,
            clock=clock,
            max_message_bytes=settings.max_message_bytes,
        )
        self.clients = Clients(
            device=link.device,
            settings=settings,
            authenticator=Authenticator(
                device=link.device, hub_hostname=hub_hostname, module_key=link.module_key
            ),
            session=self.session,
            requests=self.requests,
            metrics=self.metrics,
            quirks=quirks,
            clock=clock,
            on_presence=link.set_here,
        )
        self.metrics.queues = lambda: self.store.queues
        self.metrics.connected_clients = lambda: len(self.clients.connected)

    @property
    def queue_lengths(self) -> Mapping[str, int]:
        """The messages that wait, by module or `$upstream`."""
        lengths: dict[str, int] = {}
        for queue in self.store.queues:
            is_upstream = queue.endpoint == UPSTREAM_ENDPOINT
            name = UPSTREAM if is_upstream else queue.endpoint.split("/")[1]
            lengths[name] = lengths.get(name, 0) + len(queue)
        return lengths

    def session(self, module: str) -> ModuleSession:
        """Return the session of *module*, a new one if it was never heard of."""
        known = self._sessions.get(module)
        if known is None:
            known = self._sessions[module] = ModuleSession(
                device=self._link.device,
                module=module,
                subscriptions=self._subscriptions,
                ack_timeout_s=self.settings.ack_timeout_s,
            )
            known.on_methods = self.methods.module_takes_methods
        return known

    async def call_from_module(self, caller: str, module: str, call: MethodRequest) -> MethodResult:
        """Call a method of *module* for another one. Raises HubRequestError."""
        began_s = self.metrics.now_s()
        try:
            return await self.methods.invoke(module, call)
        finally:
            self.metrics.called(caller, module, began_s)

    def start(self) -> None:
        """Begin what is done from time to time."""
        self.clients.start()
        self._clean_up()

    async def stop(self) -> None:
        """End in order: what was accepted is stored."""
        await self._end()
        self.store.close()

    async def kill(self) -> None:
        """End as the process does that is killed: what was not committed is lost."""
        self.store.abandon()
        await self._end()

    async def _end(self) -> None:
        if self._cleanup is not None:
            self._cleanup.cancel()
        self.clients.stop()
        await self.router.close()

    def _clean_up(self) -> None:
        self.store.clean_up(entire_queues=self.settings.check_entire_queue_on_cleanup)
        self._cleanup = self._clock.call_later(self.settings.cleanup_interval_s, self._clean_up)

    def _make_sender(self, endpoint: Endpoint) -> Sender:
        if endpoint.module is None:
            return UpstreamSender(
                self._link,
                batch_size=self.settings.upstream_batch_size,
                fan_out=self.settings.upstream_fan_out,
                metrics=self.metrics,
            )
        return ModuleSender(
            self.session(endpoint.module),
            endpoint.input,
            strikes_twice=lambda: self._quirks.strikes("duplicate"),
            metrics=self.metrics,
        )

    def _policy(self, endpoint: Endpoint) -> PumpPolicy:
        fan_out = self.settings.upstream_fan_out if endpoint.module is None else 1
        return PumpPolicy(
            batch_size=self.settings.batch_size * fan_out,
            first_retry_s=self.settings.first_retry_s,
            max_retry_s=self.settings.max_retry_s,
            revive_period_s=self.settings.revive_period_s,
        )
