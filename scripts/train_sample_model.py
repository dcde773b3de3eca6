#!/usr/bin/env python3
"""Train a sample model and write it as a signed bundle.

Example: scripts/train_sample_model.py --set weld --out build --version 1.0.0 --minutes 4

The bundle says how well the model did on images that neither training nor tuning saw. Training
stops after --minutes and is not reproducible to the bit: what counts is the bundle, by its digest.
torch is not among this project's dependencies; the message says how to get it.
"""

from __future__ import annotations

import argparse
import io
import json
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import in_venv
from PIL import Image

from taktgate.bundle.errors import BundleError
from taktgate.bundle.manifest import NAME_PATTERN, Interval
from taktgate.bundle.signing import SigningKey
from taktgate.edge.files import publish
from taktgate.gates.sample_source import source_of
from taktgate.gates.training_stack import TrainingStackError
from taktgate.standin.imagesets.elpv import ElpvCells
from taktgate.standin.imagesets.errors import ImageSetError
from taktgate.standin.imagesets.opening import ELPV, WELD, open_imageset
from taktgate.standin.imagesets.port import ImageSet, Split

if TYPE_CHECKING:  # these load torch
    from taktgate.gates.sample_bundle import Packed
    from taktgate.gates.sample_training import Progress

SAMPLES = in_venv.ROOT / "src/taktgate/standin/samples"
DEVELOPMENT_KEY = SAMPLES / "development-signing-key.pem"


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Return the command line's choices."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--set", nargs="+", required=True, metavar=("elpv|weld|folder", "DIR"), help="the images")
    add("--out", type=Path, required=True, help="directory for the bundle and its weights")
    add("--version", required=True, help="version of the bundle, for example 1.0.0")
    add("--name", help="name of the bundle; elpv-cells, weld-seam or the folder's by default")
    add(
        "--minutes", type=float, default=10.0, help="time to train, 0 to pack --start-from as it is"
    )
    add("--start-from", type=Path, metavar="FILE.pt", help="weights to go on from")
    add("--blend", type=Path, metavar="FILE.pt", help="earlier weights to average in by a quarter")
    add(
        "--over-reject", metavar="SHARE", type=float, help="pack a bad model: reject that many good"
    )
    add("--false-reject", metavar="SHARE", type=float, default=0.005, help="good images to reject")
    add("--licence", help="licence of the weights; that of the images by default")
    add("--device-class", default="cpu", help="row of the compatibility matrix")
    add("--machine", default=platform.machine(), help="what latency is measured on, in words")
    add("--key", type=Path, default=DEVELOPMENT_KEY, help="PEM of the signing key")
    add("--parent", metavar="V", help="version that --start-from came from")
    add("--approver", default="nobody: a sample", metavar="WHO", help="for source.json")
    add("--seed", type=int, default=0)
    add("--json", action="store_true", help="print the result as JSON, progress to stderr")
    choices = parser.parse_args(arguments)
    words_needed = {ELPV: 1, WELD: 1, "folder": 2}
    if words_needed.get(choices.set[0]) != len(choices.set):
        parser.error("--set must be elpv, weld, or folder DIR")
    for name in (choices.version, choices.name, choices.device_class, choices.parent):
        if name is not None and not re.match(NAME_PATTERN, name):
            parser.error(f"names and versions must match {NAME_PATTERN}, got {name!r}")
    if choices.minutes <= 0 and choices.start_from is None:
        parser.error("--minutes 0 needs --start-from")
    return choices


def main() -> int:
    """Train, pack, print; return the exit code."""
    choices = parse()
    try:
        commit = commit_of_this_code()  # before an hour of training, not after it
        packed = train(choices)
        source = source_of(
            packed.manifest,
            commit=commit,
            parent=choices.parent,
            approver=choices.approver,
            seed=choices.seed,
        )
        publish(source_path(packed), source.to_bytes(), mode=0o644)
    except (BundleError, ImageSetError, TrainingStackError, ValueError, OSError) as error:
        print(f"train_sample_model: {error}", file=sys.stderr)
        return 1
    print(json.dumps(facts(packed), indent=2) if choices.json else words(packed))
    return 0


def train(choices: argparse.Namespace) -> Packed:
    """Return the bundle that *choices* ask for."""
    from taktgate.gates.sample_bundle import Origin, Release
    from taktgate.gates.sample_model import make

    spec = choices.set[1] if choices.set[0] == "folder" else choices.set[0]
    tune = open_imageset(spec, Split.TUNE)
    is_elpv = isinstance(tune, ElpvCells)
    origin = Origin(
        name=choices.name or {ELPV: "elpv-cells", WELD: "weld-seam"}.get(spec, tune.name),
        licence=choices.licence or tune.licence,
        dataset=tune.name,
        dataset_licence=tune.licence,
        split_method=tune.split_method,
        classes=tune.classes,
        golden_source="elpv-dataset" if is_elpv else "bundle",
        golden_file=lambda index: golden_file(tune, index),
    )
    release = Release(
        version=choices.version,
        device_class=choices.device_class,
        false_reject_rate=choices.over_reject or choices.false_reject,
        over_rejects=choices.over_reject is not None,
        machine=choices.machine,
        key=SigningKey.load(choices.key),
    )
    return make(
        origin,
        release,
        train=open_imageset(spec, Split.TRAIN),
        tune=tune,
        line=open_imageset(spec, Split.LINE),
        out=choices.out,
        minutes=choices.minutes,
        seed=choices.seed,
        start_from=choices.start_from,
        blend=choices.blend,
        report=report,
    )


def commit_of_this_code() -> str:
    """Return the commit that trains.

    Raises:
        ValueError: this is no clone of the repository, so that nobody could tell later.
    """
    command = ["git", "-C", str(in_venv.ROOT), "rev-parse", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise ValueError(f"the commit of this code must be known: {done.stderr.strip()}")
    return done.stdout.strip()


def source_path(packed: Packed) -> Path:
    """Return where the source.json of *packed* belongs: beside the bundle."""
    return packed.path.with_name(f"{packed.path.stem}.source.json")


def golden_file(images: ImageSet, index: int) -> tuple[str, bytes]:
    """Return id and content of the file that shows image *index* in a golden set."""
    if isinstance(images, ElpvCells):
        return images.item(index).id, images.file_bytes(index)
    file = io.BytesIO()
    Image.fromarray(images.item(index).pixels).save(file, "PNG", optimize=True)
    return f"golden/{index:06d}.png", file.getvalue()


def report(progress: Progress) -> None:
    """Print how far the training is."""
    print(
        f"{progress.share:4.0%}  steps {progress.steps}  epochs {progress.epochs:.1f}"
        f"  loss {progress.loss:.4f}",
        file=sys.stderr,
        flush=True,
    )


def facts(packed: Packed) -> dict[str, object]:
    """Return the result as JSON values."""
    return {
        "bundle": str(packed.path),
        "source": str(source_path(packed)),
        "digest": packed.digest,
        "size_bytes": packed.path.stat().st_size,
        "claims": packed.manifest.golden_claims.model_dump(),
        "latency": packed.manifest.latency_claims.model_dump(),
        "reject_rate_at_10_percent_defective": packed.counts.reject_rate(0.1),
    }


def words(packed: Packed) -> str:
    """Return the result as text."""
    claims, latency = packed.manifest.golden_claims, packed.manifest.latency_claims

    def percent(its: Interval) -> str:
        return f"{its.value:.1%} [{its.low:.1%} - {its.high:.1%}]"

    return (
        f"{packed.path}  {packed.path.stat().st_size} bytes\n{packed.digest}\n"
        f"on {claims.n_ok} good and {claims.n_defective} defective images never seen"
        f" ({claims.dataset}; {claims.interval_method}):\n"
        f"  recall        {percent(claims.recall)}\n"
        f"  false rejects {percent(claims.false_reject_rate)}\n"
        f"  precision     {percent(claims.precision)}\n"
        f"  rejects on a line with 10 % defective parts: {packed.counts.reject_rate(0.1):.1%}\n"
        f"session.run p50 {latency.p50_ms} p95 {latency.p95_ms} p99 {latency.p99_ms} ms,"
        f" n = {latency.n}, {latency.machine}"
    )


if __name__ == "__main__":
    sys.exit(main())
