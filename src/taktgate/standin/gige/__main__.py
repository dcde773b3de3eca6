"""Run a GigE Vision camera on loopback: `python -m taktgate.standin.gige --help`."""

import argparse
import signal
import sys
from pathlib import Path

from taktgate.standin.gige.fake_camera import FakeCamera
from taktgate.standin.gige.pictures import read_folder, show

EXIT_CANNOT_START = 2


def main(arguments: list[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; say on stdout when the camera is there."""
    parser = argparse.ArgumentParser(
        prog="python -m taktgate.standin.gige",
        description="A GigE Vision camera made of Aravis' fake one and your images.",
        epilog="example: python -m taktgate.standin.gige --images parts --lost-packets 0.005",
    )
    parser.add_argument(
        "--interface", default="127.0.0.1", help="name or address, default: loopback"
    )
    parser.add_argument("--serial", default="TAKTGATE", help="found as Aravis-Fake-SERIAL")
    parser.add_argument("--images", type=Path, help="folder of images, each width x height")
    parser.add_argument("--lost-packets", type=_share, default=0.0, help="share not sent, 0..1")
    options = parser.parse_args(arguments)
    try:
        images = () if options.images is None else read_folder(options.images)
        camera = FakeCamera(
            options.interface, options.serial, show(images), lost_packets=options.lost_packets
        )
    except OSError as error:
        print(f"cannot start: {error}", file=sys.stderr)  # noqa: T201 - this is a command
        return EXIT_CANNOT_START
    print("ready", flush=True)  # noqa: T201 - whoever started it waits for this word
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    del camera
    return 0


def _share(text: str) -> float:
    value = float(text)
    if not 0.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"must be 0..1, got {text}")
    return value


if __name__ == "__main__":
    sys.exit(main())
