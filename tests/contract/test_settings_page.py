"""The settings on inference's pages are those that there are, with the defaults that they have."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from taktgate.edge import places
from taktgate.edge.camera_settings import CameraBase
from taktgate.edge.settings import (
    ImageGateSettings,
    JudgeSettings,
    LaneSettings,
    RealtimeSettings,
    RecordSettings,
    SurfaceSettings,
)
from taktgate.inspection.guardrails.settings import GuardrailSettings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "modules/inference/README.md").read_text(encoding="utf-8")
CAMERAS = (ROOT / "docs/cameras.md").read_text(encoding="utf-8")
CAMERA_ROW = re.compile(r"^\|([^|]*)\| (`\w+`(?:, `\w+`)*) \| ([^|]*) \|", re.MULTILINE)
ROW = re.compile(r"^\| (`[\w.]+`(?:, `[\w.]+`)*) \| ([^|]*) \|", re.MULTILINE)
STATION: dict[str, type[BaseModel]] = {
    "judge": JudgeSettings,
    "image_gate": ImageGateSettings,
    "lanes": LaneSettings,
    "surface": SurfaceSettings,
    "records": RecordSettings,
    "realtime": RealtimeSettings,
}
ELSEWHERE = {"realtime.writer"}
"""In the README of the PLC writer."""


def table(first: str, last: str) -> dict[str, str]:
    """Return key and default of each row of the page between two texts."""
    text = PAGE[PAGE.index(first) : PAGE.index(last)]
    rows: dict[str, str] = {}
    for names, defaults in ROW.findall(text):
        keys = re.findall(r"`([\w.]+)`", names)
        rows |= dict(zip(keys, defaults.split(", "), strict=True))
    return rows


def defaults_of(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield each key below *model* with its default, as YAML writes it."""
    for name, field in model.model_fields.items():
        value: Any = field.default
        if isinstance(value, BaseModel):
            yield from defaults_of(type(value), f"{prefix}{name}.")
        elif value is not PydanticUndefined:
            yield f"{prefix}{name}", written(value)


def camera_table() -> dict[tuple[str, str], str]:
    """Return the default of each kind and key."""
    start = CAMERAS.index("| `camera.` |")
    text = CAMERAS[start : CAMERAS.index("\n\n", start)]
    rows: dict[tuple[str, str], str] = {}
    kind = ""
    for said, names, defaults in CAMERA_ROW.findall(text):
        kind = said.strip(" `") or kind
        keys = [(kind, key) for key in re.findall(r"`(\w+)`", names)]
        rows |= dict(zip(keys, defaults.split(", "), strict=True))
    return rows


def camera_defaults() -> Iterator[tuple[tuple[str, str], str]]:
    common = CameraBase.model_fields
    models: list[type[BaseModel]] = [CameraBase, *CameraBase.__subclasses__()]
    for model in models:
        kinds = get_args(model.model_fields["kind"].annotation) if model is not CameraBase else ()
        kind = "".join(kinds) or "all kinds"
        for name, field in model.model_fields.items():
            if name != "kind" and (model is CameraBase or name not in common):
                yield (kind, name), written(field.default)


def written(value: object) -> str:
    if value is PydanticUndefined:
        return "-"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def test_every_key_of_the_station_is_there_with_its_default() -> None:
    known = {
        key: default
        for section, model in STATION.items()
        for key, default in defaults_of(model, f"{section}.")
        if key not in ELSEWHERE
    }
    said = table("`station.yaml` (times", "`guardrails.yaml`; what")
    assert {key: default for key, default in said.items() if "." in key} == known


def test_every_key_of_the_guardrails_is_there_with_its_default() -> None:
    said = table("`guardrails.yaml`; what", "| elsewhere |")
    assert said == dict(defaults_of(GuardrailSettings))


def test_every_variable_of_the_environment_is_there() -> None:
    source = Path(places.__file__).read_text(encoding="utf-8")
    said = set(table("| elsewhere |", "`python main.py --check`"))
    assert said - {"ORT_DISABLE_TELEMETRY"} == set(re.findall(r'"(TAKTGATE_[A-Z_]+)"', source))


def test_every_key_of_each_kind_of_camera_is_there_with_its_default() -> None:
    assert camera_table() == dict(camera_defaults())
