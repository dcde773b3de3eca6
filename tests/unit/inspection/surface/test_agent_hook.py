"""The surface in the agent's process: what it costs when it cannot be had."""

import socket
import threading
from dataclasses import replace
from pathlib import Path

from taktgate.edge.camera_settings import NetworkCameraSettings
from taktgate.edge.places import places_from
from taktgate.edge.settings import PlcSettings, StationSettings, SurfaceSettings
from taktgate.inspection.agent import process
from taktgate.inspection.agent.faults import SURFACE_PORT, Source
from taktgate.inspection.agent.inbox import Complaint, Inbox
from taktgate.inspection.surface.board import StatusBoard


def test_port_that_is_taken_is_a_typed_fault_and_nothing_else(tmp_path: Path) -> None:
    board, inbox = StatusBoard(), Inbox()
    board.has_judged.set()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = StationSettings(
            station="VIS01",
            device_class="cpu",
            plc=PlcSettings(address="127.0.0.1"),
            camera=NetworkCameraSettings(address="127.0.0.1:1"),
            surface=SurfaceSettings(port=taken.getsockname()[1]),
        )
        places = replace(places_from({}), slots=tmp_path, state=tmp_path)
        thread = threading.Thread(
            target=process._serve_surface, args=(places, settings, board, inbox)
        )
        thread.start()
        complaint = inbox.get(timeout_s=30)
        thread.join(timeout=30)
    assert isinstance(complaint, Complaint)
    assert (complaint.source, complaint.reason) == (Source.SURFACE, SURFACE_PORT)
    assert str(settings.surface.port) in (complaint.message or "")
