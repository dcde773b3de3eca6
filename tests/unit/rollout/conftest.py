"""A plan for two rings."""

import pytest

from taktgate.contracts.twins import ModelOrder
from taktgate.rollout.plan import Ring, Rings, RolloutPlan


@pytest.fixture(scope="session")
def plan() -> RolloutPlan:
    return RolloutPlan(
        model=ModelOrder(name="weld-seam", version="1.2.0", order="2026-11-22.1"),
        repository=None,
        rings=Rings(
            layer_priority=30,
            poll_s=1,
            errors_max=2,
            rings=(
                Ring(name="canary", target="tags.ring='canary'", time_limit_s=100),
                Ring(name="broad", target="tags.ring='broad'", confirmed_share=0.5),
            ),
        ),
    )
