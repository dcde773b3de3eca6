"""Any desired properties are a deployment that can be planned, or are refused."""

from contextlib import suppress
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from taktgate.standin.azure.edgeagent.docker.recipe import create_body
from taktgate.standin.azure.edgeagent.docker.settings import DockerSettings
from taktgate.standin.azure.edgeagent.manifest import parse_deployment
from taktgate.standin.azure.edgeagent.mounts import plan_mounts
from taktgate.standin.azure.edgeagent.runtime import ModuleRecipe, registry_logins
from taktgate.standin.azure.errors import ManifestError

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(("docker", "1.1", "a:/b")),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(("a", "value")), inner)
    ),
    max_leaves=6,
)
HOST = st.dictionaries(st.sampled_from(("Binds", "Tmpfs", "Mounts", "NetworkMode")), JSON)
OPTIONS = st.dictionaries(
    st.sampled_from(("HostConfig", "Env", "Labels", "NetworkingConfig")), JSON | HOST
)
SETTINGS = st.fixed_dictionaries({"image": st.just("a")}, optional={"createOptions": OPTIONS})
MODULE = st.fixed_dictionaries(
    {"type": st.just("docker"), "status": st.just("running"), "settings": SETTINGS},
    optional={
        "env": JSON,
        "restartPolicy": JSON,
        "startupOrder": JSON,
        "version": JSON,
        "imagePullPolicy": JSON,
    },
)
DESIRED = st.fixed_dictionaries(
    {"schemaVersion": st.just("1.1") | JSON},
    optional={
        "modules": st.dictionaries(st.sampled_from("ab"), MODULE | JSON) | JSON,
        "runtime": st.dictionaries(st.sampled_from(("type", "settings")), JSON) | JSON,
        "systemModules": st.dictionaries(st.just("edgeAgent"), MODULE | JSON) | JSON,
    },
)


@given(DESIRED)
def test_any_document_is_a_deployment_or_refused(desired: dict[str, Any]) -> None:
    with suppress(ManifestError):
        registry_logins(parse_deployment(desired).runtime)


@given(MODULE)
def test_any_module_that_is_accepted_can_be_made(module: dict[str, Any]) -> None:
    with suppress(ManifestError):
        (wanted,) = parse_deployment({"schemaVersion": "1.1", "modules": {"a": module}}).modules
        recipe = ModuleRecipe(spec=wanted.spec, env={}, identity={})
        create_body("station", recipe, DockerSettings())
        plan_mounts("a", wanted.spec.create_options, directory=Path("/x"), volumes={})
