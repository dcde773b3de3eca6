"""station.yaml `camera`: what contradicts itself is refused with the field and the rule."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from taktgate.edge.camera_settings import CameraSettings

ADAPTER: TypeAdapter[Any] = TypeAdapter(CameraSettings)


@pytest.mark.parametrize(
    ("settings", "rule"),
    [
        (
            {"kind": "network", "address": "h:1", "correlation": "software_trigger"},
            "a network camera is triggered by a wire",
        ),
        ({"kind": "folder", "path": "x"}, "fps must be given"),
        (
            {"kind": "folder", "path": "x", "fps": 5, "correlation": "software_trigger"},
            "fps must be null with correlation 'software_trigger'",
        ),
        ({"kind": "synthetic"}, "fps must be given"),
        (
            {"kind": "synthetic", "fps": 5, "correlation": "frame_trigger_id"},
            "no pulse is counted",
        ),
        (
            {"kind": "replay", "path": "x", "correlation": "frame_trigger_id"},
            "no pulse is counted",
        ),
        (
            {"kind": "opencv", "url": "rtsp://c/1", "correlation": "software_trigger"},
            "what OpenCV opens cannot be triggered",
        ),
        ({"kind": "opencv", "url": "x", "channels": 4}, "Input should be 1 or 3"),
        ({"kind": "gige", "trigger": "software"}, "the judge sends the trigger"),
        (
            {"kind": "gige", "trigger": "line", "correlation": "software_trigger"},
            "the judge sends the trigger",
        ),
        (
            {"kind": "gige", "trigger": "line", "correlation": "frame_trigger_id"},
            "count of its triggers is not read",
        ),
        ({"kind": "webcam"}, "expected tags"),
    ],
)
def test_a_camera_that_could_show_no_part_is_refused(settings: object, rule: str) -> None:
    with pytest.raises(ValidationError, match=rule):
        ADAPTER.validate_python(settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"address": "h:1"},
        {"kind": "folder", "path": "x", "fps": 5},
        {"kind": "folder", "path": "x", "correlation": "software_trigger"},
        {"kind": "synthetic", "fps": 0.5},
        {"kind": "synthetic", "correlation": "software_trigger"},
        {"kind": "opencv", "url": "rtsp://c/1", "channels": 1},
        {"kind": "replay", "path": "x", "speed": 2.5},
        {"kind": "replay", "path": "x", "correlation": "software_trigger"},
        {"kind": "gige", "trigger": "line"},
        {"kind": "gige", "trigger": "software", "correlation": "software_trigger"},
    ],
)
def test_every_kind_of_camera_can_be_chosen(settings: object) -> None:
    camera = ADAPTER.validate_python(settings)
    assert ADAPTER.validate_json(camera.model_dump_json()) == camera
