"""`python -m taktgate.standin.camera`: the camera of the local world, in a process of its own."""

import argparse
import asyncio
import sys
from pathlib import Path

from taktgate.standin.camera.camera import Camera, CameraSettings
from taktgate.standin.camera.roll import Roll
from taktgate.standin.control.commands import ControlError
from taktgate.standin.control.run import parse_address, run_until_told
from taktgate.standin.imagesets.errors import ImageSetError
from taktgate.standin.imagesets.opening import line_order, open_imageset


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Return the options in *arguments*; ends the process with code 2 when they break a rule."""
    parser = argparse.ArgumentParser(prog="python -m taktgate.standin.camera", allow_abbrev=False)
    parser.add_argument("--images", required=True, help='"elpv", "weld" or a folder')
    parser.add_argument("--listen", type=parse_address, required=True, metavar="HOST:PORT")
    parser.add_argument("--trigger", type=parse_address, required=True, metavar="HOST:PORT")
    parser.add_argument("--control", type=Path, required=True, help="path of the unix socket")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--defective-fraction", type=float, default=0.1)
    parser.add_argument("--exposure-ms", type=float, default=4.0)
    options = parser.parse_args(arguments)
    if not 0.0 <= options.exposure_ms <= 1000.0:
        parser.error("argument --exposure-ms: must be within 0..1000")
    return options


def main() -> int:
    """Run the camera until SIGTERM; return the exit code."""
    options = parse_arguments(sys.argv[1:])

    async def serve(stop: asyncio.Event) -> None:
        imageset = open_imageset(options.images, seed=options.seed)
        order = line_order(
            imageset, seed=options.seed, defective_fraction=options.defective_fraction
        )
        settings = CameraSettings(
            listen=options.listen,
            trigger=options.trigger,
            control=options.control,
            exposure_ms=options.exposure_ms,
        )
        await Camera(settings, Roll(imageset, order)).serve(stop)

    return run_until_told("camera stand-in", serve, (ControlError, ImageSetError))


if __name__ == "__main__":
    sys.exit(main())
