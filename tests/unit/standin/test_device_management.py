"""Automatic device management: which deployments apply, how they merge, what a change patches."""

from typing import Any

import pytest

from taktgate.standin.azure.errors import ManifestError
from taktgate.standin.azure.iothub.device_management import (
    Deployment,
    ModuleTarget,
    check_content,
    merge_content,
    patch_for,
    select,
)
from taktgate.standin.azure.iothub.query_language import parse_target_condition

BASE = {
    "$edgeAgent": {
        "properties.desired": {"schemaVersion": "1.1", "runtime": {}, "systemModules": {}}
    },
    "stager": {"properties.desired": {"model": {"v": "1", "sha": "a"}, "repository": "r"}},
}
LAYER = {"stager": {"properties.desired.model": {"v": "2"}}}
DEVICE = {"deviceId": "d", "tags": {"ring": "canary"}}


def deployment(
    name: str,
    priority: int,
    content: dict[str, Any],
    *,
    created: int = 1,
    target: str = "tags.ring='canary'",
) -> Deployment:
    return Deployment(
        id=name,
        priority=priority,
        created=created,
        condition=parse_target_condition(target),
        modules_content=content,
    )


@pytest.mark.parametrize(
    ("deployments", "applied"),
    [
        ([("b1", 10, BASE), ("b2", 20, BASE)], ["b2"]),
        ([("b1", 10, BASE), ("l1", 30, LAYER), ("l2", 20, LAYER)], ["b1", "l2", "l1"]),
        ([("b1", 10, BASE), ("l1", 10, LAYER), ("l2", 5, LAYER)], ["b1"]),
        ([("l1", 30, LAYER)], []),
    ],
)
def test_one_base_and_the_layers_above_it_apply(
    deployments: list[tuple[str, int, dict[str, Any]]], applied: list[str]
) -> None:
    selection = select([deployment(*each) for each in deployments], DEVICE)
    assert [each.id for each in selection.applied] == applied
    known = {name for name, *_ in deployments}
    assert {each.id for each in selection.shadowed} == known - set(applied)


def test_newest_base_wins_a_tie() -> None:
    old, new = deployment("z", 10, BASE, created=1), deployment("a", 10, BASE, created=2)
    assert [each.id for each in select([new, old], DEVICE).applied] == ["a"]


def test_empty_condition_targets_nobody() -> None:
    assert select([deployment("b", 10, BASE, target="")], DEVICE).applied == ()


def test_layer_overwrites_the_whole_sub_path() -> None:
    targets = merge_content([BASE, LAYER])
    assert targets["stager"] == ModuleTarget(
        desired={"model": {"v": "2"}, "repository": "r"}, is_whole=True
    )


def test_whole_document_of_a_layer_overwrites_all_below() -> None:
    whole = {"stager": {"properties.desired": {"only": 1}, "properties.desired.model.v": "3"}}
    targets = merge_content([BASE, LAYER, whole])
    assert targets["stager"].desired == {"only": 1, "model": {"v": "3"}}


def test_end_of_a_layer_brings_the_base_back_and_nulls_what_only_it_set() -> None:
    layer = {"stager": {"properties.desired.model": {"v": "2"}, "properties.desired.extra": 1}}
    before, after = merge_content([BASE, layer]), merge_content([BASE])
    patch = patch_for(after["stager"], before["stager"], before["stager"].desired)
    assert patch == {"model": {"v": "1", "sha": "a"}, "extra": None}


def test_module_with_layers_only_keeps_its_other_properties() -> None:
    target = merge_content([LAYER])["stager"]
    assert patch_for(target, None, {"mine": 1}) == {"model": {"v": "2"}}
    assert patch_for(None, target, {"mine": 1, "model": {"v": "2"}}) == {"model": None}


def started_by_agent(modules: int) -> dict[str, Any]:
    return {"properties.desired": {"modules": {f"m{n}": {} for n in range(modules)}}}


def test_fifty_modules_beside_the_two_of_the_system_are_taken() -> None:
    check_content(
        {
            "$edgeAgent": started_by_agent(50),
            "$edgeHub": {"properties.desired": {}},
            "m0": {"properties.desired": {}},
        }
    )


@pytest.mark.parametrize(
    ("content", "rule"),
    [
        (None, "at least one module"),
        ({}, "at least one module"),
        ({"$edgeAgent": {}, **{f"m{n}": {} for n in range(51)}}, "at most 50"),
        ({"$edgeAgent": started_by_agent(51)}, "at most 50"),
        (
            {"$edgeAgent": {f"properties.desired.modules.m{n}": {} for n in range(51)}},
            "at most 50",
        ),
        ({"m": {"desired": {}}}, "properties.desired"),
        ({"m": {"properties.desired": {}}}, r"\$edgeAgent; rule: a base deployment has it"),
        ({"$edgeAgent": {"properties.desired": 7}}, "rule: an object"),
        ({"$edgeAgent": {}, "m": {"properties.desired.": {}}}, "<sub-path>"),
        ({"$edgeAgent": {}, "m": {"properties.desired.a": {"b.c": 1}}}, "no '.'"),
    ],
)
def test_wrong_content_is_refused(content: object, rule: str) -> None:
    with pytest.raises(ManifestError, match=rule):
        check_content(content)
