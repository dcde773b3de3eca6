"""From deployment.template.json to the manifest that the hub takes: what `iotedgedev` generates.

Placeholders: `${MODULES.<name>}` for an image, `${NAME}` for a variable. Unlike iotedgedev, which
leaves an unknown variable as it is, this refuses it.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

CHUNK_CHARS: Final = 512
"""The longest string that a twin takes; `createOptions` goes on in `createOptions01` and so on."""
MAX_CHUNKS: Final = 8

_PLACEHOLDER: Final = re.compile(r"\$\{([^}]*)\}")
_MODULES: Final = "MODULES."


class DeploymentError(ValueError):
    """The template cannot be turned into a manifest, or the manifest breaks a rule."""


def render_deployment(
    template: Mapping[str, Any], *, variables: Mapping[str, str], images: Mapping[str, str]
) -> dict[str, Any]:
    """Return the deployment manifest that *template* stands for.

    Args:
        template: the parsed deployment.template.json; it is not changed.
        variables: a value for each `${NAME}`.
        images: an image for each `${MODULES.<name>}`.

    Raises:
        DeploymentError: a placeholder has no value, or create options are longer than 8 chunks.
    """
    values = {**variables, **{_MODULES + name: image for name, image in images.items()}}
    manifest = {
        key: _expand(value, values) for key, value in template.items() if key != "$schema-template"
    }
    for name, module in modules_of(manifest).items():
        settings = module.get("settings", {})
        if "createOptions" in settings:
            settings.update(_chunks(name, settings["createOptions"]))
    return manifest


def modules_of(manifest: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the entries of all modules of *manifest*, edgeAgent's and edgeHub's among them."""
    desired = manifest["modulesContent"]["$edgeAgent"]["properties.desired"]
    return {**desired["systemModules"], **desired["modules"]}


def create_options_of(module: Mapping[str, Any]) -> dict[str, Any]:
    """Return the create options of a module's entry, from an object or from its chunks.

    Raises:
        DeploymentError: the chunks together are not a JSON object.
    """
    settings = module["settings"]
    first = settings.get("createOptions", "")
    if isinstance(first, Mapping):
        return dict(first)
    text = first + "".join(settings.get(_chunk_name(number), "") for number in range(1, MAX_CHUNKS))
    try:
        options = json.loads(text or "{}")
    except ValueError as error:
        raise DeploymentError(f"createOptions: not JSON: {error}") from error
    if not isinstance(options, dict):
        raise DeploymentError("createOptions: must be an object")
    return options


def placeholders_of(template: Any) -> set[str]:
    """Return the names of all placeholders in *template*."""
    return set(_PLACEHOLDER.findall(json.dumps(template)))


def _expand(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _PLACEHOLDER.sub(lambda found: _value_of(found[1], values), value)
    if isinstance(value, Mapping):
        return {key: _expand(item, values) for key, item in value.items()}
    if isinstance(value, list):
        return [_expand(item, values) for item in value]
    return value


def _value_of(name: str, values: Mapping[str, str]) -> str:
    try:
        return values[name]
    except KeyError:
        what = "image" if name.startswith(_MODULES) else "variable"
        raise DeploymentError(f"deployment template: no value for {what} ${{{name}}}") from None


def _chunks(module: str, options: Mapping[str, Any] | str) -> dict[str, str]:
    text = options if isinstance(options, str) else json.dumps(options, separators=(",", ":"))
    if len(text) > CHUNK_CHARS * MAX_CHUNKS:
        raise DeploymentError(
            f"createOptions of {module}: {len(text)} characters, at most {CHUNK_CHARS * MAX_CHUNKS}"
        )
    starts = range(0, len(text), CHUNK_CHARS)
    return {
        _chunk_name(number): text[start : start + CHUNK_CHARS]
        for number, start in enumerate(starts)
    }


def _chunk_name(number: int) -> str:
    return f"createOptions{number:02d}" if number else "createOptions"
