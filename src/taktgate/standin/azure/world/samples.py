"""Small deployments to begin with, written beside a world so that its first commands work."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from taktgate.contracts.routes import INFERENCE, MODEL_STAGER
from taktgate.standin.azure.json_types import JsonObject

SAMPLE_MODULE: Final = "sample"


@dataclass(frozen=True, slots=True, kw_only=True)
class Samples:
    """The files of the samples."""

    base: Path
    stations: Path
    layer: Path


def write_samples(directory: Path, images: Iterable[str], repository: str) -> Samples:
    """Write the samples into *directory*.

    Files that are there stay as they are: somebody may have changed them.

    Args:
        directory: Where to.
        images: The base runs one module for each of them.
        repository: The address of the model repository.

    Raises:
        OSError: The disk refused.
    """
    directory.mkdir(parents=True, exist_ok=True)
    samples = Samples(
        base=directory / "base.json",
        stations=directory / "stations.json",
        layer=directory / "layer.json",
    )
    contents = {
        samples.base: base_content(images),
        samples.stations: station_content(repository),
        samples.layer: layer_content(),
    }
    for path, content in contents.items():
        if not path.exists():
            path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    return samples


def station_content(repository: str) -> JsonObject:
    """Return a base for light devices, which stand for stations of ours with a first model."""
    content = base_content((INFERENCE, MODEL_STAGER))
    content["modulesContent"][MODEL_STAGER] = {
        "properties.desired": {
            "model": {"name": "weld-seam", "version": "1.0.0", "order": "base"},
            "repository": repository,
        }
    }
    return content


def base_content(images: Iterable[str]) -> JsonObject:
    """Return a base deployment's content; the az CLI validates it against Microsoft's schemas."""
    agent = {
        "schemaVersion": "1.1",
        "runtime": {"type": "docker", "settings": {"minDockerVersion": "v1.25"}},
        "systemModules": {
            "edgeAgent": _system_module("agent"),
            "edgeHub": {
                **_system_module("hub"),
                "status": "running",
                "restartPolicy": "always",
            },
        },
        "modules": {_module_name(image): _module(image) for image in images},
    }
    edgehub = {
        "schemaVersion": "1.1",
        "routes": {"upstream": "FROM /messages/modules/* INTO $upstream"},
        "storeAndForwardConfiguration": {"timeToLiveSecs": 7200},
    }
    return {
        "modulesContent": {
            "$edgeAgent": {"properties.desired": agent},
            "$edgeHub": {"properties.desired": edgehub},
            SAMPLE_MODULE: {"properties.desired": {"greeting": "good morning"}},
        }
    }


def layer_content() -> JsonObject:
    """Return a layer that changes one desired property of a module and restarts nothing."""
    return {"modulesContent": {SAMPLE_MODULE: {"properties.desired.greeting": "good evening"}}}


def _system_module(name: str) -> dict[str, Any]:
    image = f"mcr.microsoft.com/azureiotedge-{name}:1.6"
    return {"type": "docker", "settings": {"image": image, "createOptions": "{}"}}


def _module(image: str) -> JsonObject:
    return {
        "version": "1.0",
        "type": "docker",
        "status": "running",
        "restartPolicy": "always",
        "settings": {"image": f"local/{image}:1.0", "createOptions": "{}"},
    }


def _module_name(image: str) -> str:
    return image.replace("/", "_")
