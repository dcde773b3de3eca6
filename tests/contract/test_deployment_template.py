"""deployment.template.json: its shape, its routes, and what the containers get from their host."""

import copy
import json
import re
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from taktgate.contracts.routes import INFERENCE, MODEL_STAGER, PLC_WRITER, ROUTES
from taktgate.contracts.twins import read_desired
from taktgate.edge.places import Places, places_from
from taktgate.gates.deployment import (
    DeploymentError,
    create_options_of,
    modules_of,
    placeholders_of,
    render_deployment,
)
from taktgate.gates.deployment_shape import check_deployment
from taktgate.inspection.pool.pool import MAX_MODELS
from taktgate.standin.azure.edgehub.routes.language import compile_routes

MEGABYTE = 1 << 20
ROOT = Path(__file__).parents[2]
TEMPLATE = json.loads((ROOT / "deployment.template.json").read_text(encoding="utf-8"))
OURS = (INFERENCE, PLC_WRITER, MODEL_STAGER)
IMAGES = {name: f"registry.example/taktgate-{name}:0.1.0-amd64" for name in OURS}
VARIABLES = {
    "CONTAINER_REGISTRY_SERVER": "registry.example",
    "CONTAINER_REGISTRY_USERNAME": "reader",
    "CONTAINER_REGISTRY_PASSWORD": "secret",
    "MODEL_NAME": "weld",
    "MODEL_VERSION": "1",
    "MODEL_ORDER": "base-1",
    "MODEL_REPOSITORY": "https://models.example/weld",
}


def manifest() -> dict[str, Any]:
    return render_deployment(TEMPLATE, variables=VARIABLES, images=IMAGES)


def options(module: str) -> dict[str, Any]:
    return create_options_of(modules_of(manifest())[module])


def host(module: str) -> dict[str, Any]:
    host_config: dict[str, Any] = options(module)["HostConfig"]
    return host_config


def environment(module: str) -> dict[str, str]:
    return {key: entry["value"] for key, entry in modules_of(manifest())[module]["env"].items()}


def mounts(module: str) -> dict[str, str]:
    """Return the container paths that are mounted, with `ro`, `rw` or `tmpfs`."""
    bound = [bind.split(":") for bind in host(module)["Binds"]]
    found = {path: (*mode, "rw")[0] for _, path, *mode in bound}
    return found | dict.fromkeys(host(module).get("Tmpfs", {}), "tmpfs")


def test_template_is_a_valid_base_deployment() -> None:
    check_deployment(manifest())


def test_template_needs_exactly_the_known_variables() -> None:
    images = {f"MODULES.{name}" for name in OURS}
    assert placeholders_of(TEMPLATE) == set(VARIABLES) | images


def test_system_images_are_of_the_lts_line_by_explicit_tag() -> None:
    modules = modules_of(manifest())
    images = {name: modules[name]["settings"]["image"] for name in ("edgeAgent", "edgeHub")}
    assert images == {
        "edgeAgent": "mcr.microsoft.com/azureiotedge-agent:1.6",
        "edgeHub": "mcr.microsoft.com/azureiotedge-hub:1.6",
    }


def test_routes_are_those_of_the_contract() -> None:
    routes = manifest()["modulesContent"]["$edgeHub"]["properties.desired"]["routes"]
    assert routes == {
        name: {"route": route.text(), "priority": route.priority, "timeToLiveSecs": route.ttl_s}
        for name, route in ROUTES.items()
    }


def test_every_route_compiles_to_what_the_contract_means() -> None:
    routes = manifest()["modulesContent"]["$edgeHub"]["properties.desired"]["routes"]
    for compiled in compile_routes(routes).routes:
        meant = ROUTES[compiled.name]
        assert compiled.source == f"/messages/modules/{meant.source}/outputs/{meant.output}"
        assert compiled.endpoint.module == (meant.sink if meant.input else None)
        assert compiled.endpoint.input == (meant.input or "")
        assert (compiled.priority, compiled.ttl_s) == (meant.priority, meant.ttl_s)
        assert compiled.condition is None


def test_routes_join_modules_of_the_deployment() -> None:
    ends = {route.source for route in ROUTES.values()}
    ends |= {route.sink for route in ROUTES.values() if route.input}
    assert ends <= set(modules_of(manifest()))


def test_default_twin_of_the_stager_is_one_that_it_accepts() -> None:
    desired = read_desired(manifest()["modulesContent"][MODEL_STAGER]["properties.desired"])
    assert desired.model is not None
    assert desired.model.order == "base-1"


def test_no_desired_property_can_change_a_verdict() -> None:
    for module in (INFERENCE, PLC_WRITER):
        assert manifest()["modulesContent"][module] == {"properties.desired": {}}


def test_each_module_has_a_user_of_its_own_and_all_share_a_group() -> None:
    users = [options(name)["User"].split(":") for name in OURS]
    assert len({uid for uid, _ in users}) == len(OURS)
    assert {gid for _, gid in users} == {"13630"}
    assert "0" not in {uid for uid, _ in users}


@pytest.mark.parametrize("module", OURS)
def test_module_is_locked_down(module: str) -> None:
    config = host(module)
    assert config["CapDrop"] == ["ALL"]
    assert "CapAdd" not in config
    assert config["SecurityOpt"] == ["no-new-privileges"]
    assert config["ReadonlyRootfs"] is True
    assert config["IpcMode"] == "private"
    assert config["Memory"] == config["MemorySwap"] > 0
    assert config["PidsLimit"] > 0
    assert config["LogConfig"]["Config"] == {"max-size": "10m", "max-file": "3"}


@pytest.mark.parametrize("module", OURS)
def test_own_scratch_space_belongs_to_the_module_alone(module: str) -> None:
    uid, gid = options(module)["User"].split(":")
    for settings in host(module)["Tmpfs"].values():
        assert settings.endswith(f"mode=0700,uid={uid},gid={gid}")
    assert {"/tmp", "/run/taktgate/private"} == set(host(module)["Tmpfs"])


def limit(module: str, name: str) -> int:
    limits = {entry["Name"]: entry["Hard"] for entry in host(module).get("Ulimits", [])}
    return int(limits.get(name, 0))


def test_only_the_data_plane_gets_real_time_rights_and_the_writer_the_highest() -> None:
    assert limit(PLC_WRITER, "rtprio") == 80
    assert 0 < limit(INFERENCE, "rtprio") < 60, "below the writer's default priority"
    assert limit(MODEL_STAGER, "rtprio") == 0
    assert limit(PLC_WRITER, "memlock") == limit(INFERENCE, "memlock") == -1


def test_a_model_that_loaded_at_idle_priority_may_come_back_to_the_normal_one() -> None:
    # setrlimit(2): the highest priority that may be asked for is 20 - RLIMIT_NICE.
    assert {module: limit(module, "nice") for module in OURS} == {
        INFERENCE: 20,
        PLC_WRITER: 0,
        MODEL_STAGER: 0,
    }


def test_the_memory_of_inference_holds_every_runner_that_may_live_at_once() -> None:
    runners = MAX_MODELS + 2  # the live model's standby, and the one behind the control surface
    each, everything_else = 200 * MEGABYTE, 512 * MEGABYTE
    assert host(INFERENCE)["Memory"] >= runners * each + everything_else


def test_the_memory_of_the_stager_holds_a_smoke_test() -> None:
    stager, runtime_and_model = 256 * MEGABYTE, 512 * MEGABYTE
    assert host(MODEL_STAGER)["Memory"] >= stager + runtime_and_model


def test_no_cpu_quota_can_stop_the_data_plane() -> None:
    assert "NanoCpus" not in host(PLC_WRITER)
    assert "NanoCpus" not in host(INFERENCE)


@pytest.mark.parametrize("module", OURS)
def test_every_path_in_the_environment_is_mounted(module: str) -> None:
    mounted = {PurePosixPath(path) for path in mounts(module)}
    for name, value in environment(module).items():
        if value.startswith("/"):
            path = PurePosixPath(value)
            assert mounted & {path, *path.parents}, f"{name}={value} is mounted nowhere"


@pytest.mark.parametrize("module", OURS)
def test_environment_repeats_the_defaults_of_the_images(module: str) -> None:
    ours = {name: v for name, v in environment(module).items() if name.startswith("TAKTGATE_")}
    assert places_from(ours) == places_from({})


@pytest.mark.parametrize("module", OURS)
def test_environment_names_only_known_variables(module: str) -> None:
    source = (ROOT / "src/taktgate/edge/places.py").read_text(encoding="utf-8")
    known = set(re.findall(r'"(TAKTGATE_[A-Z_]+)"', source)) | {"ORT_DISABLE_TELEMETRY"}
    assert set(environment(module)) <= known


def test_each_volume_is_written_by_its_owner_alone() -> None:
    places: Places = places_from({})
    assert {name: mounts(name).get(str(places.slots)) for name in OURS} == {
        INFERENCE: "ro",
        PLC_WRITER: None,
        MODEL_STAGER: "rw",
    }
    assert {name: mounts(name).get(str(places.state)) for name in OURS} == {
        INFERENCE: "rw",
        PLC_WRITER: None,
        MODEL_STAGER: "ro",
    }
    assert {name: mounts(name).get(str(places.lane)) for name in OURS} == {
        INFERENCE: "rw",
        PLC_WRITER: "rw",
        MODEL_STAGER: None,
    }
    assert {mounts(name)[str(places.config)] for name in OURS} == {"ro"}


def test_inference_never_phones_home() -> None:
    assert environment(INFERENCE)["ORT_DISABLE_TELEMETRY"] == "1"


def test_startup_order_brings_the_writer_first() -> None:
    modules = modules_of(manifest())
    order = sorted(OURS, key=lambda name: modules[name]["startupOrder"])
    assert order == [PLC_WRITER, MODEL_STAGER, INFERENCE]
    assert all(modules[name]["restartPolicy"] == "always" for name in OURS)


def test_edge_hub_opens_no_amqp_and_keeps_its_queue_on_the_host() -> None:
    assert environment("edgeHub")["amqpSettings__enabled"] == "false"
    assert environment("edgeHub")["storageFolder"] in mounts("edgeHub")


class TestRender:
    def test_create_options_survive_the_cut_into_chunks(self) -> None:
        settings = modules_of(manifest())[INFERENCE]["settings"]
        chunks = [value for key, value in settings.items() if key != "image"]
        assert [key for key in settings if key != "image"] == ["createOptions", "createOptions01"]
        assert all(len(chunk) <= 512 for chunk in chunks)
        before = TEMPLATE["modulesContent"]["$edgeAgent"]["properties.desired"]["modules"]
        assert options(INFERENCE) == before[INFERENCE]["settings"]["createOptions"]

    def test_template_is_left_alone_and_the_schema_mark_dropped(self) -> None:
        before = copy.deepcopy(TEMPLATE)
        assert "$schema-template" not in manifest()
        assert before == TEMPLATE

    def test_unknown_variable_is_named(self) -> None:
        some = {name: value for name, value in VARIABLES.items() if name != "MODEL_ORDER"}
        with pytest.raises(DeploymentError, match=r"no value for variable \$\{MODEL_ORDER\}"):
            render_deployment(TEMPLATE, variables=some, images=IMAGES)

    def test_missing_image_is_named(self) -> None:
        with pytest.raises(DeploymentError, match=r"no value for image \$\{MODULES.inference\}"):
            render_deployment(
                TEMPLATE,
                variables=VARIABLES,
                images={PLC_WRITER: "x:1", MODEL_STAGER: "x:1"},
            )

    def test_too_long_create_options_are_refused(self) -> None:
        template = copy.deepcopy(TEMPLATE)
        modules_of(template)[INFERENCE]["settings"]["createOptions"]["Labels"] = {"x": "y" * 4096}
        with pytest.raises(DeploymentError, match="at most 4096"):
            render_deployment(template, variables=VARIABLES, images=IMAGES)


def _set(path: str, value: Any) -> dict[str, Any]:
    """Return the template with *value* at *path*; None removes what is there."""
    changed: dict[str, Any] = copy.deepcopy(TEMPLATE)
    *steps, last = path.split("/")
    at = changed["modulesContent"]
    for step in steps:
        at = at[step]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return changed


AGENT = "$edgeAgent/properties.desired"
HUB = "$edgeHub/properties.desired"
WRITER_HOST = f"{AGENT}/modules/plc_writer/settings/createOptions/HostConfig"


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        (f"{AGENT}/schemaVersion", "1.10", "schemaVersion"),
        (f"{AGENT}/runtime", None, "runtime"),
        (f"{AGENT}/modules/plc_writer/status", None, "status"),
        (f"{AGENT}/modules/plc_writer/restartPolicy", "sometimes", "restartPolicy"),
        (f"{AGENT}/modules/plc_writer/settings/image", "registry.example/writer", "image"),
        (f"{AGENT}/systemModules/edgeHub", None, "edgeHub"),
        (f"{HUB}/schemaVersion", "1.1", "schemaVersion"),
        (f"{HUB}/routez", {}, "routez"),
        (f"{HUB}/routes/verdicts/priority", 10, "priority"),
        (f"{WRITER_HOST}/CapDrop", "ALL", "CapDrop"),
        (f"{WRITER_HOST}/ReadOnlyRootfs", True, "ReadOnlyRootfs"),
        (f"{WRITER_HOST}/LogConfig", None, "LogConfig"),
        (f"{WRITER_HOST}/Binds", ["lane:relative/path"], "Binds"),
        ("plc_writter", {"properties.desired": {}}, "plc_writter"),
    ],
)
def test_broken_deployment_is_refused_by_the_name_of_the_field(
    path: str, value: Any, field: str
) -> None:
    broken = render_deployment(_set(path, value), variables=VARIABLES, images=IMAGES)
    with pytest.raises(DeploymentError, match=re.escape(field)):
        check_deployment(broken)


def test_what_the_page_on_cameras_adds_for_gige_vision_is_a_valid_deployment() -> None:
    page = (ROOT / "docs/cameras.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```json\n(.*?)```", page, re.DOTALL)
    inference, edge_hub = (json.loads(f"{{{block}}}")["createOptions"] for block in blocks)
    template = copy.deepcopy(TEMPLATE)
    modules = modules_of(template)
    for module, added in ((modules[INFERENCE], inference), (modules["edgeHub"], edge_hub)):
        options = module["settings"]["createOptions"]
        host_config = options["HostConfig"] | added["HostConfig"]
        module["settings"]["createOptions"] = {**options, **added, "HostConfig": host_config}
    rendered = render_deployment(template, variables=VARIABLES, images=IMAGES)
    check_deployment(rendered)
    assert create_options_of(modules_of(rendered)[INFERENCE])["HostConfig"]["NetworkMode"] == "host"
