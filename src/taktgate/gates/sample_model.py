"""The walk from labelled images to a signed bundle: gather, fit, release.

Importing this file loads torch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from pickle import UnpicklingError

from taktgate.gates.sample_bundle import Origin, Packed, Release, release
from taktgate.gates.sample_images import Images, gather
from taktgate.gates.sample_network import DefectNet, torch
from taktgate.gates.sample_training import PEAK_RATE, Progress, fit

FINE_TUNING_RATE = PEAK_RATE / 2
BLEND_SHARE = 0.25


class WeightsError(ValueError):
    """A file of weights does not fit the network."""


def make(
    origin: Origin,
    its: Release,
    *,
    train: Images,
    tune: Images,
    line: Images,
    out: Path,
    minutes: float,
    seed: int,
    start_from: Path | None,
    blend: Path | None = None,
    report: Callable[[Progress], None],
) -> Packed:
    """Train for *minutes*, write weights and bundle into *out*, return the bundle.

    With *blend*, a file of weights from earlier on the same way, a quarter of each weight is its:
    averaging over a way evens out where it happened to end.

    Raises:
        WeightsError: The weights to start from cannot be read or do not fit.
        TooFewImagesError: There are too few images of a kind to tune with.
    """
    torch.set_num_threads(1)
    out.mkdir(parents=True, exist_ok=True)
    net = DefectNet(len(origin.classes)).eval()
    if start_from is not None:
        _read(net, start_from)
    if minutes > 0:
        may_turn = origin.golden_source == "elpv-dataset"  # a cell has no up and down, a seam has
        rate = PEAK_RATE if start_from is None else FINE_TUNING_RATE
        images = gather(train, may_turn=may_turn)
        net = fit(net, images, minutes=minutes, seed=seed, peak_rate=rate, report=report)
    if blend is not None:
        net = _blended(net, blend)
    torch.save(net.state_dict(), out / f"{origin.name}-{its.version}.pt")
    return release(net, origin, its, tune=tune, line=line, out=out)


def _blended(net: DefectNet, weights: Path) -> DefectNet:
    earlier = DefectNet(net.map.out_channels)
    _read(earlier, weights)
    theirs = earlier.state_dict()
    for name, value in net.state_dict().items():
        if value.dtype.is_floating_point:
            value.mul_(1.0 - BLEND_SHARE).add_(theirs[name], alpha=BLEND_SHARE)
    return net


def _read(net: DefectNet, weights: Path) -> None:
    try:
        net.load_state_dict(torch.load(weights, weights_only=True))
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, UnpicklingError) as error:
        raise WeightsError(f"{weights}: cannot be used as weights: {error}") from error
