"""The endpoint of a module's input: messages go one by one, and nothing overtakes what failed."""

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from taktgate.standin.azure.edgehub.errors import DeliveryFailedError
from taktgate.standin.azure.edgehub.message import StoredMessage
from taktgate.standin.azure.edgehub.pump import Delivered
from taktgate.standin.azure.edgehub.session import ModuleSession
from taktgate.standin.azure.errors import MqttProtocolError

log = logging.getLogger(__name__)


class DeliveryMetrics(Protocol):
    """Counts and times what was delivered."""

    def now_s(self) -> float:
        """Return the seconds of a clock that only grows."""

    def sent_to_module(
        self, stored: StoredMessage, *, module: str, input_name: str, began_s: float
    ) -> None:
        """Count a message that the module has acknowledged."""


class ModuleSender:
    """Delivers to one input (Azure/iotedge Edge.Hub.Core/routing/ModuleEndpoint.cs)."""

    def __init__(
        self,
        session: ModuleSession,
        input_name: str,
        *,
        strikes_twice: Callable[[], bool],
        metrics: DeliveryMetrics,
    ) -> None:
        self._session = session
        self._input = input_name
        self._strikes_twice = strikes_twice
        self._metrics = metrics
        self._is_reached = True

    async def send(
        self, messages: Sequence[StoredMessage], delivered: Delivered
    ) -> list[StoredMessage]:
        """Deliver *messages*; return the one that failed and all after it."""
        for index, stored in enumerate(messages):
            began_s = self._metrics.now_s()
            try:
                await self._deliver(stored)
            except DeliveryFailedError as error:
                self._note(is_reached=False, reason=str(error))
                return list(messages[index:])
            except MqttProtocolError as error:
                # edgeHub gives up what can never be sent: FailureKind.InvalidInput.
                log.warning("message cannot be sent", extra={"reason": str(error)})
            else:
                self._metrics.sent_to_module(
                    stored, module=self._session.module, input_name=self._input, began_s=began_s
                )
            delivered(stored)
        self._note(is_reached=True)
        return []

    async def _deliver(self, stored: StoredMessage) -> None:
        await self._session.deliver(stored, self._input)
        if self._strikes_twice():
            await self._session.deliver(stored, self._input)

    def _note(self, *, is_reached: bool, reason: str = "") -> None:
        """Log the endpoint's failure once, and once that it is back."""
        if is_reached != self._is_reached:
            self._is_reached = is_reached
            words = "module takes messages again" if is_reached else "module takes no message"
            extra = {"module_name": self._session.module, "input": self._input, "reason": reason}
            log.info(words, extra=extra)
