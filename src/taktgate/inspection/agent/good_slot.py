"""Last-known-good whose own runner turns it down: reported, named to the stager, tried again.

Its slot may have rotted. Where that slot is what is announced, the stager looks, stages it again if
it has, and announces it anew; that is a try of it, as for any model, and no start is needed. Where
something else is ordered nobody stages it: the twin chooses, and people see why it does not judge.
"""

from typing import Final

from taktgate.contracts.activation import Refusal, SlotRef
from taktgate.contracts.staged import StagedModel
from taktgate.contracts.twins import TypedError
from taktgate.inspection.agent.context import Context
from taktgate.inspection.agent.faults import Source
from taktgate.inspection.control import LoadedModel, RunnerState

_LOOKED_INTO: Final = "the stager looks into its slot"
_TO_BE_TRIED: Final = "it is announced anew, and is tried as soon as its order allows"
_UNORDERED: Final = "it is not what is ordered, and is staged again only when it is"


class GoodSlot:
    """Whether last-known-good loads from its slot."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._announced: StagedModel | None = None
        self._is_untried = False
        """Nothing was loaded yet because of that announcement."""

    def announced(self, notice: StagedModel) -> None:
        """Take note of what the stager has announced, whatever becomes of the order.

        The first one after a start is older than what the judge has loaded, unless another
        announcement of the same model is on record as refused.
        """
        told = self._context.ledger.activation.refused
        is_news = told is not None and told.digest == notice.model.digest and not told.is_of(notice)
        self._is_untried = is_news or self._announced is not None
        self._announced = notice

    def report(self) -> None:
        """Report why last-known-good does not judge, if its runner says so."""
        good = self._context.ledger.activation.last_known_good
        held = self._held(good)
        error = None
        if good is not None and held is not None and held.refused is not None:
            model = f"last-known-good, {good.model.name} {good.model.version}"
            message = f"{model}: {self._outlook(good)}: {held.refused.message}"
            error = TypedError(reason=held.refused.reason, message=message[:500])
        self._context.faults.put(Source.GOOD_MODEL, error)

    def try_again(self) -> None:
        """Have last-known-good loaded anew if it was refused and is announced anew.

        What stands in for it judges until it is ready, and gives way when the order allows.
        """
        good = self._context.way_back.good
        notice, held = self._announced_as(good), self._held(good)
        if good is None or notice is None or held is None or not self._is_untried:
            return
        live = self._context.judge.live_model
        is_stood_in_for = live is not None and live.digest != held.digest
        may_change = not is_stood_in_for or self._context.orders.allows(notice.activation)
        if held.state is RunnerState.READY:
            self._is_untried = False
        elif held.state is RunnerState.REFUSED and may_change:
            self._is_untried = False
            self._context.commands.try_again(good)

    @property
    def refusal(self) -> Refusal | None:
        """Return that the announced slot was refused as last-known-good's; None: it was not."""
        good = self._context.way_back.good
        notice, held = self._announced_as(good), self._held(good)
        if notice is None or held is None or held.refused is None or self._is_untried:
            return None
        return Refusal.of(notice, held.refused.reason, held.refused.message)

    def has_loaded(self, digest: str) -> bool:
        """Tell whether *digest* is last-known-good and has come up: no refusal of it holds on."""
        good = self._context.way_back.good
        held = self._held(good)
        return held is not None and held.digest == digest and held.state is RunnerState.READY

    def _outlook(self, good: SlotRef) -> str:
        """Return what will come of *good*, which was refused."""
        if self._announced_as(good) is None:
            return _UNORDERED
        return _TO_BE_TRIED if self._is_untried else _LOOKED_INTO

    def _announced_as(self, good: SlotRef | None) -> StagedModel | None:
        """Return the announcement if it is of *good*."""
        notice = self._announced
        is_of_good = notice is not None and good is not None and notice.model == good.model
        return notice if is_of_good else None

    def _held(self, good: SlotRef | None) -> LoadedModel | None:
        return None if good is None else self._context.judge.model(good.model.digest)
