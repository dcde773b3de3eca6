"""Fit the sample network within a time budget: minutes on one core, not bit-reproducible.

Importing this file loads torch.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from taktgate.gates.sample_images import TrainingImages
from taktgate.gates.sample_network import DefectNet, torch

BATCH: Final = 32
PEAK_RATE: Final = 3e-3
WARM_UP_SHARE: Final = 0.05
EMA_KEEP: Final = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """Where the training stands."""

    share: float
    steps: int
    epochs: float
    loss: float


def fit(
    net: DefectNet,
    images: TrainingImages,
    *,
    minutes: float,
    seed: int,
    peak_rate: float = PEAK_RATE,
    report: Callable[[Progress], None],
    clock: Callable[[], float] = time.monotonic,
) -> DefectNet:
    """Return the averaged network after *minutes* of training, as a new object in eval mode."""
    torch.manual_seed(seed)
    rng = np.random.default_rng(seed)
    net.train().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), lr=PEAK_RATE, weight_decay=0.02)
    average, losses = _copy(net), [0.7]
    start, spoken, share = clock(), 0.0, 0.0
    for step, batch in enumerate(_batches(len(images.grey), rng)):
        share = (clock() - start) / (minutes * 60.0)
        if share >= 1.0:
            break
        _set_rate(optimiser, peak_rate * _shape(share))
        losses.append(_step(net, optimiser, images, batch, rng))
        _follow(average, net, min(EMA_KEEP, (1 + step) / (10 + step)))
        if share - spoken >= 0.02:
            spoken = share
            epochs = step * BATCH / len(images.grey)
            loss = float(np.mean(losses[-50:]))
            report(Progress(share=share, steps=step, epochs=epochs, loss=loss))
    average.eval()
    return average


def _copy(net: DefectNet) -> DefectNet:
    twin = DefectNet(net.map.out_channels)
    twin.load_state_dict(net.state_dict())
    return twin


def _batches(count: int, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
    while True:
        order = rng.permutation(count)
        for start in range(0, max(1, count - BATCH + 1), BATCH):
            yield order[start : start + BATCH]


def _shape(share: float) -> float:
    if share < WARM_UP_SHARE:
        return share / WARM_UP_SHARE
    return 0.5 * (1.0 + math.cos(math.pi * (share - WARM_UP_SHARE) / (1.0 - WARM_UP_SHARE)))


def _set_rate(optimiser: Any, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate


def _step(
    net: DefectNet,
    optimiser: Any,
    images: TrainingImages,
    batch: NDArray[np.int64],
    rng: np.random.Generator,
) -> float:
    grey = _vary(torch.from_numpy(images.grey[batch]), rng, may_turn=images.may_turn)
    targets = torch.from_numpy(images.targets[batch])
    logits = net(grey.contiguous(memory_format=torch.channels_last))
    by_class = torch.nn.functional.binary_cross_entropy_with_logits(logits, targets)
    whole = torch.nn.functional.binary_cross_entropy_with_logits(logits.amax(1), targets.amax(1))
    loss = by_class + whole
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 2.0)
    optimiser.step()
    return float(loss.detach())


def _vary(grey: Any, rng: np.random.Generator, *, may_turn: bool) -> Any:
    """Return [n, 1, 256, 256] within 0..1: mirrored, shifted, in another light, with noise."""
    x = grey.unsqueeze(1).float() / 255.0
    axes = [axis for axis in (2, 3) if rng.random() < 0.5]
    x = x.flip(axes) if axes else x
    if may_turn and rng.random() < 0.5:
        x = x.transpose(2, 3)
    x = x.roll(tuple(int(n) for n in rng.integers(-8, 9, size=2)), (2, 3))
    count = len(x)
    gain = torch.from_numpy(rng.uniform(0.8, 1.2, (count, 1, 1, 1)).astype(np.float32))
    gamma = torch.from_numpy(rng.uniform(0.8, 1.25, (count, 1, 1, 1)).astype(np.float32))
    x = (x.clamp(1e-3, 1.0) ** gamma) * gain
    return (x + torch.randn_like(x) * float(rng.uniform(0.0, 0.02))).clamp(0.0, 1.0)


def _follow(average: DefectNet, net: DefectNet, keep: float) -> None:
    with torch.no_grad():
        for ours, theirs in zip(
            average.state_dict().values(), net.state_dict().values(), strict=True
        ):
            if ours.dtype.is_floating_point:
                ours.mul_(keep).add_(theirs.detach(), alpha=1.0 - keep)
            else:
                ours.copy_(theirs)
