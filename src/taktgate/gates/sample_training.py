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
from taktgate.gates.sample_network import CHANNELS, MIRRORED, TURNED, DefectNet, functional, torch

BATCH: Final = 16
PEAK_RATE: Final = 2e-3
WARM_UP_SHARE: Final = 0.05
AVERAGE_KEEPS: Final = 0.997


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
    measured, targets = _look(net, images.grey), torch.from_numpy(images.targets)
    net.train().to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(net.parameters(), lr=peak_rate, weight_decay=0.05)
    average, losses = _copy(net), [0.7]
    start, spoken = clock(), 0.0
    for step, batch in enumerate(_batches(len(images.grey), rng)):
        share = (clock() - start) / (minutes * 60.0)
        if share >= 1.0:
            break
        _set_rate(optimiser, peak_rate * _shape(share))
        varied = _vary(measured[batch].float(), rng, may_turn=images.may_turn)
        losses.append(_step(net, optimiser, varied, targets[batch]))
        _follow(average, net, min(AVERAGE_KEEPS, (1 + step) / (10 + step)))
        if share - spoken >= 0.05:
            spoken = share
            epochs = step * BATCH / len(images.grey)
            loss = float(np.mean(losses[-80:]))
            report(Progress(share=share, steps=step, epochs=epochs, loss=loss))
    average.eval()
    return average


def _look(net: DefectNet, grey: NDArray[np.uint8]) -> Any:
    """Return what the fixed stage measures, once for the whole training, as float16."""
    pieces = []
    with torch.no_grad():
        for start in range(0, len(grey), 32):
            piece = torch.from_numpy(grey[start : start + 32]).unsqueeze(1).float() / 255.0
            pieces.append(net.look(piece).half())
    return torch.cat(pieces)


def _copy(net: DefectNet) -> DefectNet:
    twin = DefectNet(net.map.out_channels)
    twin.load_state_dict(net.state_dict())
    return twin


def _batches(count: int, rng: np.random.Generator) -> Iterator[Any]:
    while True:
        order = torch.from_numpy(rng.permutation(count))
        for start in range(0, max(1, count - BATCH + 1), BATCH):
            yield order[start : start + BATCH]


def _shape(share: float) -> float:
    if share < WARM_UP_SHARE:
        return share / WARM_UP_SHARE
    return 0.5 * (1.0 + math.cos(math.pi * (share - WARM_UP_SHARE) / (1.0 - WARM_UP_SHARE)))


def _set_rate(optimiser: Any, rate: float) -> None:
    for group in optimiser.param_groups:
        group["lr"] = rate


def _step(net: DefectNet, optimiser: Any, measured: Any, targets: Any) -> float:
    logits = net.judge(measured.contiguous(memory_format=torch.channels_last))
    loss = functional.binary_cross_entropy_with_logits(logits, targets)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    optimiser.step()
    return float(loss.detach())


def _vary(measured: Any, rng: np.random.Generator, *, may_turn: bool) -> Any:
    """Return what would be measured of mirrored, shifted images, each channel a little off."""
    x = measured
    for axis in (2, 3):
        if rng.random() < 0.5:
            x = x.flip(axis)[:, MIRRORED]
    if may_turn and rng.random() < 0.5:
        x = x.transpose(2, 3)[:, TURNED]
    x = x.roll(tuple(int(cells) for cells in rng.integers(-2, 3, size=2)), (2, 3))
    shape = (len(x), CHANNELS, 1, 1)
    gain = torch.from_numpy(rng.uniform(0.85, 1.15, shape).astype(np.float32))
    offset = torch.from_numpy(rng.uniform(-0.1, 0.1, shape).astype(np.float32))
    return x * gain + offset


def _follow(average: DefectNet, net: DefectNet, keep: float) -> None:
    """Move *average* towards *net*."""
    with torch.no_grad():
        for ours, theirs in zip(
            average.state_dict().values(), net.state_dict().values(), strict=True
        ):
            if ours.dtype.is_floating_point:
                ours.mul_(keep).add_(theirs.detach(), alpha=1.0 - keep)
            else:
                ours.copy_(theirs)
