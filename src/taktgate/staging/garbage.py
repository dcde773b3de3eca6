"""Which slots nobody needs any more. Pure.

Slots go only against an activation that acknowledges what is announced: until inference has settled
that order, it may still be on its way to a slot that was announced before.
"""

from collections.abc import Set

from taktgate.contracts.activation import Activation
from taktgate.contracts.staged import StagedModel
from taktgate.staging.activation import slots_in_use


def spare(
    names: Set[str], activation: Activation | None, announced: StagedModel | None
) -> frozenset[str]:
    """Return which of the slots *names* may be removed.

    Never one that *activation* names (last-known-good, the one before, the candidate of a trial),
    nor the *announced* one; none at all while a trial runs, after a loss of inference's record, or
    before inference has settled the announced order.
    """
    if activation is None or announced is None:
        return frozenset()
    if activation.has_forgotten or activation.trial is not None:
        return frozenset()
    if activation.settled_order != announced.order:
        return frozenset()
    return frozenset(names) - slots_in_use(activation) - {announced.slot}
