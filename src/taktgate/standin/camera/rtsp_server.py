"""An RTSP camera: a folder's images as a JPEG or H.264 stream. Needs the system's GStreamer.

Run by the Python that has GStreamer's bindings, which is the system's and not the project's:

    cd src/taktgate/standin/camera
    /usr/bin/python3 rtsp_server.py --images FOLDER --listen 127.0.0.1:8554

It says `ready rtsp://...` on its standard output once it listens, and streams until it is ended.
The folder holds files 0000.jpg, 0001.jpg and so on, all of one size; they are shown in turn.
"""

import argparse
import sys
from typing import Any

_ENCODERS = {
    "jpeg": "jpegenc quality=95 ! rtpjpegpay name=pay0",
    "h264": (
        "x264enc tune=zerolatency key-int-max={fps} bitrate=4000"
        " ! rtph264pay name=pay0 config-interval=1"
    ),
}


def parse_arguments(arguments: list[str]) -> argparse.Namespace:
    """Return the options in *arguments*; ends the process with code 2 when they break a rule."""
    parser = argparse.ArgumentParser(prog="rtsp_server", allow_abbrev=False)
    parser.add_argument("--images", required=True, help="folder of 0000.jpg, 0001.jpg, ...")
    parser.add_argument("--listen", required=True, metavar="HOST:PORT")
    parser.add_argument("--fps", type=int, default=25)
    parser.add_argument("--codec", choices=sorted(_ENCODERS), default="jpeg")
    return parser.parse_args(arguments)


def launch_line(options: argparse.Namespace) -> str:
    """Return GStreamer's description of the stream."""
    encode = _ENCODERS[options.codec].format(fps=options.fps)
    return (
        f'( multifilesrc location="{options.images}/%04d.jpg" loop=true'
        f" caps=image/jpeg,framerate={options.fps}/1 ! jpegdec ! videoconvert"
        f" ! video/x-raw,format=I420 ! identity sync=true ! {encode} )"
    )


def serve(options: argparse.Namespace) -> None:
    """Stream until the process is ended."""
    gst, rtsp, glib = _load_gstreamer()
    gst.init(None)
    host, _, port = options.listen.rpartition(":")
    server, factory = rtsp.RTSPServer(), rtsp.RTSPMediaFactory()
    server.set_address(host)
    server.set_service(port)
    factory.set_launch(launch_line(options))
    factory.set_shared(True)
    server.get_mount_points().add_factory("/camera", factory)
    if not server.attach(None):
        sys.exit(f"{options.listen} cannot be had")
    sys.stdout.write(f"ready rtsp://{host}:{server.get_bound_port()}/camera\n")
    sys.stdout.flush()
    glib.MainLoop().run()


def _load_gstreamer() -> tuple[Any, Any, Any]:
    """Return GStreamer, its RTSP server and GLib; ends the process with code 3 without them."""
    try:
        import gi

        gi.require_version("Gst", "1.0")
        gi.require_version("GstRtspServer", "1.0")
        from gi.repository import GLib, Gst, GstRtspServer
    except (ImportError, ValueError) as error:
        sys.stderr.write(f"no GStreamer ({error}): apt install gir1.2-gst-rtsp-server-1.0\n")
        sys.exit(3)
    return Gst, GstRtspServer, GLib


if __name__ == "__main__":
    serve(parse_arguments(sys.argv[1:]))
