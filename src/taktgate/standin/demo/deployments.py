"""The deployments that the demo makes: what an operations team would send with `az`."""

import json
from typing import Any, Final

from taktgate.contracts.routes import INFERENCE, MODEL_STAGER, PLC_WRITER
from taktgate.gates.deployment import render_deployment
from taktgate.standin.demo.samples import REPOSITORY_ROOT

BASE_PRIORITY: Final = 10
APP_TAG: Final = "taktgate"


def base_deployment(
    *, model: str, version: str, order: str, repository: str, target: str
) -> dict[str, Any]:
    """Return the base deployment of `deployment.template.json` for the devices of *target*."""
    template = json.loads(
        (REPOSITORY_ROOT / "deployment.template.json").read_text(encoding="utf-8")
    )
    manifest = render_deployment(
        template,
        variables={
            "CONTAINER_REGISTRY_SERVER": "registry.local",
            "CONTAINER_REGISTRY_USERNAME": "nobody",
            "CONTAINER_REGISTRY_PASSWORD": "none",
            "MODEL_NAME": model,
            "MODEL_VERSION": version,
            "MODEL_ORDER": order,
            "MODEL_REPOSITORY": repository,
        },
        images={
            name: f"registry.local/taktgate-{name.replace('_', '-')}:0.1.0-amd64"
            for name in (INFERENCE, PLC_WRITER, MODEL_STAGER)
        },
    )
    return {
        "id": f"base-{order}",
        "schemaVersion": "2.0",
        "labels": {"app": APP_TAG},
        "content": manifest,
        "targetCondition": target,
        "priority": BASE_PRIORITY,
        "metrics": {"queries": {}},
        "etag": "*",
    }


def model_layer(
    *, model: str, version: str, order: str, target: str, rank: int = 1
) -> dict[str, Any]:
    """Return a layered deployment that orders a model on top of the base, and changes nothing else.

    The layer with the highest *rank* wins.
    """
    desired = {"name": model, "version": version, "order": order, "activation": "immediate"}
    return {
        "id": f"layer-{order}",
        "schemaVersion": "2.0",
        "labels": {"app": APP_TAG},
        "content": {
            "modulesContent": {
                "$edgeAgent": {},
                MODEL_STAGER: {"properties.desired.model": desired},
            }
        },
        "targetCondition": target,
        "priority": BASE_PRIORITY + rank,
        "metrics": {"queries": {}},
        "etag": "*",
    }
