"""edgeAgent and edgeHub of a light device: what they report of a deployment."""

from typing import Any

import pytest

from taktgate.standin.azure.fleet.behaviour import Desired, Effects, Elapsed, Run, Wait
from taktgate.standin.azure.fleet.edge_agent import LightEdgeAgent
from taktgate.standin.azure.fleet.edge_hub import LightEdgeHub
from taktgate.standin.azure.fleet.pace import Pace


def module(image: str, **more: Any) -> dict[str, Any]:
    entry = {"type": "docker", "status": "running", "restartPolicy": "always", "version": "1"}
    return {**entry, "settings": {"image": image}, **more}


def deployment(**modules: dict[str, Any]) -> dict[str, Any]:
    system = {"edgeAgent": module("mcr/agent:1.6"), "edgeHub": module("mcr/hub:1.6")}
    return {"schemaVersion": "1.1", "runtime": {}, "systemModules": system, "modules": modules}


def agent() -> LightEdgeAgent:
    return LightEdgeAgent("station-1", pace=Pace(), seed=1)


def applied(agent: LightEdgeAgent, document: dict[str, Any], version: int) -> Effects:
    """Give *agent* a deployment and let its time pass."""
    effects = agent.on(Desired(document=document, version=version))
    match effects:
        case (Wait(number=number),):
            return agent.on(Elapsed(number=number))
    return effects


def runs(*names: str) -> Effects:
    return (Run(modules=frozenset(names)),)


def test_deployment_is_reported_once_its_modules_have_started() -> None:
    light = agent()
    (waits,) = light.on(Desired(document=deployment(a=module("r/a:1")), version=4))
    assert isinstance(waits, Wait)
    assert waits.seconds >= Pace().pull.shortest_s
    assert light.reported() == {}
    assert light.on(Elapsed(number=waits.number)) == runs("a")
    report = light.reported()
    assert (report["lastDesiredVersion"], report["lastDesiredStatus"]["code"]) == (4, 200)
    assert report["modules"]["a"]["runtimeStatus"] == "running"
    assert report["systemModules"]["edgeHub"]["settings"] == {"image": "mcr/hub:1.6"}


def test_newer_deployment_takes_the_place_of_one_under_way() -> None:
    light = agent()
    (first,) = light.on(Desired(document=deployment(a=module("r/a:1")), version=2))
    assert isinstance(first, Wait)
    (second,) = light.on(Desired(document=deployment(b=module("r/b:1")), version=3))
    assert isinstance(second, Wait)
    assert light.on(Elapsed(number=first.number)) == ()
    assert light.on(Elapsed(number=second.number)) == runs("b")
    assert light.reported()["lastDesiredVersion"] == 3


def test_deployment_without_a_changed_module_is_applied_at_once() -> None:
    light = agent()
    applied(light, deployment(a=module("r/a:1")), 2)
    document = deployment(a=module("r/a:1")) | {"runtime": {"type": "docker"}}
    assert light.on(Desired(document=document, version=3)) == runs("a")
    assert light.reported()["lastDesiredVersion"] == 3


def test_stopped_module_is_reported_and_does_not_run() -> None:
    light = agent()
    modules = {"a": module("r/a:1"), "b": module("r/b:1", status="stopped")}
    assert applied(light, deployment(**modules), 2) == runs("a")
    assert light.reported()["modules"]["b"]["runtimeStatus"] == "stopped"


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ({}, 417),
        (deployment() | {"schemaVersion": "7.0"}, 412),
        (deployment(a={"type": "docker"}), 400),
    ],
    ids=["empty", "schema", "module"],
)
def test_wrong_deployment_is_reported_and_the_old_modules_stay(
    document: dict[str, Any], code: int
) -> None:
    light = agent()
    applied(light, deployment(a=module("r/a:1")), 2)
    assert applied(light, document, 3) == ()
    report = light.reported()
    assert (report["lastDesiredVersion"], report["lastDesiredStatus"]["code"]) == (3, code)
    assert report["lastDesiredStatus"]["description"]
    assert report["modules"].keys() == {"a"}


def test_direct_methods_are_answered_as_edgeagent_does() -> None:
    light = agent()
    applied(light, deployment(a=module("r/a:1"), b=module("r/b:1")), 2)
    assert light.call("ping", None)[0].status == 200
    answer, effects = light.call("RestartModule", {"schemaVersion": "1.0", "id": "a"})
    assert (answer.status, effects) == (200, (*runs("b"), *runs("a", "b")))
    assert light.call("RestartModule", {"id": "c"})[0].status == 500
    assert light.call("Dance", None)[0].status == 400


@pytest.mark.parametrize(
    ("route", "code"), [("FROM /messages/* INTO $upstream", 200), ("FROM nowhere", 400)]
)
def test_edgehub_says_whether_it_took_its_routes(route: str, code: int) -> None:
    light = LightEdgeHub()
    document = {
        "schemaVersion": "1.2",
        "routes": {"up": route},
        "storeAndForwardConfiguration": {"timeToLiveSecs": 60},
    }
    light.on(Desired(document=document, version=9))
    report = light.reported()
    assert (report["lastDesiredVersion"], report["lastDesiredStatus"]["code"]) == (9, code)
