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
    report: Callable[[Progress], None],
) -> Packed:
    """Train for *minutes*, write weights and bundle into *out*, return the bundle.

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
        torch.save(net.state_dict(), out / f"{origin.name}-{its.version}.pt")
    return release(net, origin, its, tune=tune, line=line, out=out)


def _read(net: DefectNet, weights: Path) -> None:
    try:
        net.load_state_dict(torch.load(weights, weights_only=True))
    except (OSError, RuntimeError, ValueError, KeyError, EOFError, UnpicklingError) as error:
        raise WeightsError(f"{weights}: cannot be used as weights: {error}") from error
