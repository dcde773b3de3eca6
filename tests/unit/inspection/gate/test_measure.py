"""What is measured on a frame, against the plain definitions."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from taktgate.contracts.codec import decode, encode
from taktgate.inspection.gate.measure import Pixels, measure
from taktgate.inspection.image_facts import ImageFacts

small = st.tuples(st.integers(1, 12), st.integers(1, 12))
shapes = st.one_of(small, small.map(lambda shape: (*shape, 3)))
images = shapes.flatmap(lambda shape: arrays(np.uint8, shape))


def noise(height: int = 512, width: int = 512, *, seed: int = 1, spread: float = 8.0) -> Pixels:
    values = np.random.default_rng(seed).normal(128.0, spread, (height, width))
    return values.clip(0, 255).astype(np.uint8)


def laplacian_variance(grey: Pixels) -> float:
    wide = grey.astype(np.float64)
    inner = wide[1:-1, 1:-1] * -4 + wide[1:-1, :-2] + wide[1:-1, 2:] + wide[:-2, 1:-1]
    return float((inner + wide[2:, 1:-1]).var())


@settings(max_examples=60, deadline=None)
@given(pixels=images)
def test_a_small_image_is_measured_pixel_by_pixel(pixels: Pixels) -> None:
    facts = measure(pixels)

    assert facts.mean == pytest.approx(pixels.mean(), abs=0.01)
    assert facts.contrast == pytest.approx(pixels.std(), abs=0.01)
    assert facts.dark_share == pytest.approx((pixels <= 5).mean())
    assert facts.saturated_share == pytest.approx((pixels >= 250).mean())
    grey = pixels if pixels.ndim == 2 else pixels[:, :, 1]
    if min(grey.shape) >= 3:
        assert facts.sharpness == pytest.approx(laplacian_variance(grey), rel=1e-4, abs=0.01)
    assert decode(ImageFacts, encode(facts)) == facts, "fit for the doorbell and the record"


@pytest.mark.parametrize("shape", [(512, 512), (1024, 1280), (300, 300), (1, 200_000)])
def test_the_rows_that_stand_for_a_large_image_say_what_all_would(shape: tuple[int, int]) -> None:
    pixels = noise(*shape)
    facts = measure(pixels)

    assert facts.mean == pytest.approx(pixels.mean(), rel=0.01)
    assert facts.contrast == pytest.approx(pixels.std(), rel=0.03)
    if shape[0] > 2:
        assert facts.sharpness == pytest.approx(laplacian_variance(pixels), rel=0.05)


def test_sharpness_falls_with_blur() -> None:
    sharp = noise().astype(np.float64)
    shifted = [np.roll(sharp, shift, axis) for shift in (-1, 0, 1) for axis in (0, 1)]
    blurred = np.mean(shifted, axis=0)

    assert measure(blurred.astype(np.uint8)).sharpness < measure(noise()).sharpness / 4


@settings(max_examples=60, deadline=None)
@given(pixels=images, data=st.data())
def test_a_single_changed_pixel_changes_the_fingerprint(
    pixels: Pixels, data: st.DataObject
) -> None:
    other = pixels.copy()
    place = data.draw(st.integers(0, other.size - 1))
    other.reshape(-1)[place] ^= data.draw(st.integers(1, 255))

    assert measure(pixels.copy()).fingerprint == measure(pixels).fingerprint
    assert measure(other).fingerprint != measure(pixels).fingerprint


def test_the_fingerprint_covers_pixels_between_the_measured_rows_too() -> None:
    seen = {measure(noise()).fingerprint}
    for place in range(0, 512 * 512, 4999):
        pixels = noise()
        pixels.reshape(-1)[place] ^= 1
        seen.add(measure(pixels).fingerprint)

    assert len(seen) == 1 + len(range(0, 512 * 512, 4999))
