import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from taktgate.contracts.twins import ModelOrder
from taktgate.edge.places import SettingsError
from taktgate.edge.settings import load_yaml
from taktgate.rollout.errors import PlanError
from taktgate.rollout.layers import content_of, layer_of, metrics_of
from taktgate.rollout.plan import Ring, Rings, RolloutPlan
from taktgate.standin.azure.iothub.query_language import parse_query, parse_target_condition

RINGS_FILE = Path(__file__).parents[3] / "config" / "rings.yaml"
CONFIGURATION_ID = re.compile(r"[a-z0-9:+%_#*?!(),=@;$'-]{1,128}")


def test_the_shipped_rings_are_sound() -> None:
    rings = load_yaml(RINGS_FILE, Rings)
    assert [ring.name for ring in rings.rings] == ["canary", "broad"]


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "(document)"),
        ("layer_priority: 30\nrings: []", "rings"),
        ("layer_priority: 0\nrings: [{name: a, target: \"tags.a='b'\"}]", "layer_priority"),
        ("layer_priority: 1\nrings: [{name: a, target: \"tags.a='b'\", x: 1}]", "rings.0.x"),
        (
            "layer_priority: 1\nrings: [{name: a, target: \"tags.a='b'\"},"
            " {name: a, target: \"tags.a='c'\"}]",
            "twice",
        ),
    ],
)
def test_bad_rings_are_refused_by_field(tmp_path: Path, text: str, field: str) -> None:
    path = tmp_path / "rings.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match=re.escape(field)):
        load_yaml(path, Rings)


@pytest.mark.parametrize(
    "target",
    [
        "tags.ring='canary'",
        "deviceId='vis-01'",
        "tags.ring = 'canary' AND tags.site.hall='3' AND NOT deviceId = 'vis-09'",
        "tags.line='press-3:a' and tags.x != 'it''s'",
    ],
)
def test_a_condition_that_a_hub_takes_is_taken(target: str) -> None:
    assert Ring(name="r", target=target).target == target
    assert parse_target_condition(target) is not None


@pytest.mark.parametrize(
    "target",
    [
        "",
        "*",
        "tags.ring='a' OR tags.ring='b'",
        'tags.ring="canary"',
        "properties.reported.x='1'",
        "tags.ring=canary",
        "tags.ring='a' AND",
        "tags.ring='a';--'",
        "tags.ring='a'\nOR deviceId='b'",
    ],
)
def test_another_condition_is_refused_with_the_rule(target: str) -> None:
    with pytest.raises(ValidationError, match="joined by AND"):
        Ring(name="r", target=target)


def test_a_ring_that_was_reached_stays_targeted(plan: RolloutPlan) -> None:
    assert plan.target(0) == "tags.ring='canary'"
    assert plan.target(1) == "tags.ring='canary' OR tags.ring='broad'"
    assert parse_target_condition(plan.target(1)) is not None


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", fullmatch=True)
versions = st.from_regex(r"[a-z0-9][a-z0-9.-]{0,63}", fullmatch=True)
orders = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:@-]{0,127}", fullmatch=True)


@given(names, versions, orders)
def test_every_plan_has_an_id_that_a_hub_takes_and_queries_that_parse(
    name: str, version: str, order: str
) -> None:
    rings = Rings(layer_priority=30, rings=(Ring(name="c", target="tags.ring='c'"),))
    model = ModelOrder(name=name, version=version, order=order)
    plan = RolloutPlan(model=model, repository=None, rings=rings)
    assert CONFIGURATION_ID.fullmatch(plan.layer_id)
    for query in metrics_of(model).values():
        parse_query(query)


def test_every_order_has_an_id_of_its_own(plan: RolloutPlan) -> None:
    other = replace(plan, model=replace(plan.model, order="2026-11-22.2"))
    assert other.layer_id != plan.layer_id


@pytest.mark.parametrize("order", ["it's", "a b", "-x", "a\n"])
def test_an_order_that_a_query_cannot_name_is_refused(plan: RolloutPlan, order: str) -> None:
    with pytest.raises(PlanError, match="order"):
        replace(plan, model=replace(plan.model, order=order))


def test_the_manifest_sets_sub_paths_of_the_stager_and_nothing_else(plan: RolloutPlan) -> None:
    model = {
        "name": "weld-seam",
        "version": "1.2.0",
        "order": "2026-11-22.1",
        "activation": "immediate",
    }
    assert content_of(plan) == {
        "modulesContent": {"$edgeAgent": {}, "model_stager": {"properties.desired.model": model}}
    }
    elsewhere = content_of(replace(plan, repository="https://models.example"))
    assert elsewhere["modulesContent"]["model_stager"] == {
        "properties.desired.model": model,
        "properties.desired.repository": "https://models.example",
    }


def test_a_withdrawn_layer_leaves_no_null_behind(plan: RolloutPlan) -> None:
    template = json.loads((RINGS_FILE.parents[1] / "deployment.template.json").read_text())
    base = template["modulesContent"]["model_stager"]["properties.desired"]
    layer = content_of(replace(plan, repository="https://x"))["modulesContent"]["model_stager"]
    for path, value in layer.items():
        below = base[path.removeprefix("properties.desired.")]
        if isinstance(value, dict):
            assert value.keys() == below.keys()


def test_a_layer_differs_between_rings_in_its_target_alone(plan: RolloutPlan) -> None:
    first, second = layer_of(plan, 0), layer_of(plan, 1)
    assert replace(first, target=second.target) == second
    assert first.priority == 30
