"""Which measured images are turned down, and by which reason."""

import math
from dataclasses import replace

import pytest

from taktgate.edge.settings import ImageGateSettings
from taktgate.inspection.doorbell import RunFault
from taktgate.inspection.gate.frozen import FrozenWatch
from taktgate.inspection.gate.rule import fault_of
from taktgate.inspection.image_facts import ImageFacts

FIT = ImageFacts(
    mean=120.0,
    contrast=20.0,
    sharpness=300.0,
    dark_share=0.1,
    saturated_share=0.01,
    fingerprint=1,
)
LIMITS = ImageGateSettings(
    dark_share_max=0.5,
    saturated_share_max=0.2,
    mean_min=40.0,
    mean_max=200.0,
    sharpness_min=100.0,
)


@pytest.mark.parametrize(
    ("facts", "fault"),
    [
        (FIT, None),
        (replace(FIT, dark_share=0.5, saturated_share=0.2, mean=40.0, sharpness=100.0), None),
        (replace(FIT, mean=200.0), None),
        (replace(FIT, dark_share=0.51), RunFault.IMAGE_DARK),
        (replace(FIT, saturated_share=0.21), RunFault.IMAGE_SATURATED),
        (replace(FIT, mean=39.9), RunFault.IMAGE_EXPOSURE),
        (replace(FIT, mean=200.1), RunFault.IMAGE_EXPOSURE),
        (replace(FIT, sharpness=99.9), RunFault.IMAGE_BLURRED),
        (replace(FIT, dark_share=0.9, mean=3.0, sharpness=0.0), RunFault.IMAGE_DARK),
        (replace(FIT, saturated_share=0.9, mean=250.0, sharpness=0.0), RunFault.IMAGE_SATURATED),
        (replace(FIT, mean=3.0, sharpness=0.0), RunFault.IMAGE_EXPOSURE),
        (replace(FIT, dark_share=math.nan), RunFault.IMAGE_DARK),
        (replace(FIT, mean=math.nan), RunFault.IMAGE_EXPOSURE),
        (replace(FIT, sharpness=math.nan), RunFault.IMAGE_BLURRED),
    ],
)
def test_an_image_beyond_a_limit_is_turned_down_by_the_plainest_cause(
    facts: ImageFacts, fault: RunFault | None
) -> None:
    assert fault_of(facts, LIMITS) is fault


def test_a_limit_that_is_not_set_is_not_looked_at() -> None:
    black = replace(FIT, mean=0.0, sharpness=0.0, dark_share=1.0, saturated_share=1.0)

    assert fault_of(black, ImageGateSettings()) is None


@pytest.mark.parametrize(
    ("limit", "frozen"),
    [
        (3, [False, False, False, True, True, False, False, False]),
        (2, [False, False, True, True, True, False, False, True]),
        (None, [False] * 8),
    ],
)
def test_an_image_is_frozen_from_the_nth_equal_one_in_a_row_on(
    limit: int | None, frozen: list[bool]
) -> None:
    watch = FrozenWatch(limit)

    assert [watch.is_frozen(image) for image in (1, 2, 2, 2, 2, 3, 2, 2)] == frozen
