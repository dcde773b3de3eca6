"""OVER_REJECT: the model rejects more than this station's last confirmed one.

Trial: a sequential test (sequential.py) of the baseline's reject rate against `factor` times
that, at most 0.9. With the defaults, exact by enumeration (`scripts/guardrail_table`):

    baseline                         5 %     7.5 %   10 %     15 %
    five times that is found in      99.1 %  99.9 %  99.98 %  100 %   of trials of 60 parts
      on average after               31      21      15       9       parts
    the baseline itself goes back    0.99 %  0.19 %  0.05 %   0.04 %  (false alarms)

Below 5 % sixty parts hold too few rejects for such a power (3 %: 90 %); a trial can be longer.

Live: in a block of at least 500 parts the rate exceeds the baseline by 3 sigma and 1.5 times.
Sigma counts how little is known of the baseline, too. A block is longer where rejects are rare,
so that 25 of them are expected: normal sigmas mean nothing for a handful.
"""

import math
from typing import Final

from taktgate.contracts.activation import Baseline
from taktgate.inspection.guardrails.baseline import baseline_rate
from taktgate.inspection.guardrails.breach import Breach, Guardrail
from taktgate.inspection.guardrails.sequential import RatioTest
from taktgate.inspection.guardrails.settings import OverRejectSettings

EXPECTED_REJECTS: Final = 25


def trial_test(settings: OverRejectSettings, baseline: Baseline, parts: int) -> RatioTest:
    """Return the test of a trial's reject rate."""
    rate = baseline_rate(baseline, settings)
    return RatioTest.of(settings, rate=rate, suspect=settings.factor * rate, parts=parts)


def block_parts(rate: float, at_least: int) -> int:
    """Return how many parts hold enough rejects at *rate*."""
    return max(at_least, math.ceil(EXPECTED_REJECTS / rate))


def live_limit(rate: float, parts: int, baseline_parts: int, settings: OverRejectSettings) -> float:
    """Return the reject rate of a block beyond which the live model rejects too much."""
    sigma = math.sqrt(rate * (1 - rate) * (1 / parts + 1 / baseline_parts))
    return max(rate + settings.sigmas * sigma, settings.ratio * rate)


def of_block(
    rejects: int, parts: int, baseline: Baseline, settings: OverRejectSettings
) -> Breach | None:
    """Return the breach of a whole block of the live model."""
    rate = baseline_rate(baseline, settings)
    limit = live_limit(rate, parts, baseline.parts, settings)
    if rejects / parts <= limit:
        return None
    return Breach(
        guardrail=Guardrail.OVER_REJECT,
        message=f"{rejects} of {parts} parts rejected, the station's baseline is {rate:.1%}",
        figures={
            "parts": float(parts),
            "rejects": float(rejects),
            "baselineParts": float(baseline.parts),
            "baselineRate": round(rate, 4),
            "limitRate": round(limit, 4),
        },
    )
