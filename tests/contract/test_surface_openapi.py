"""What the control surface's OpenAPI document promises, held against the running surface."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.specs.openapi import checks
from tests.integration.surface_station import TOKEN, SurfaceStation, surface_station
from tests.integration.tiny_bundles import Tiny

EXAMPLES = 10
"""Of each operation; `scripts/fuzz surface` asks for thousands."""
VALID, BROKEN = schemathesis.GenerationMode.POSITIVE, schemathesis.GenerationMode.NEGATIVE
OPERATIONS = (
    ("POST", "/infer", VALID),
    ("POST", "/infer", BROKEN),
    ("POST", "/reload-model", VALID),
    ("POST", "/reload-model", BROKEN),
    ("POST", "/report-escape", VALID),
    ("POST", "/report-escape", BROKEN),
    ("POST", "/clear-model", VALID),
    ("POST", "/clear-model", BROKEN),
    ("POST", "/hold", VALID),
    ("POST", "/hold", BROKEN),
    ("POST", "/release-hold", VALID),
    ("POST", "/release-hold", BROKEN),
    ("GET", "/healthz", VALID),
    ("GET", "/readyz", VALID),
    ("GET", "/metrics", VALID),
)
"""With the kind of requests that are made; a request without parameters cannot be broken."""
CONFIG = schemathesis.Config.from_dict(
    {"checks": {"negative_data_rejection": {"expected-statuses": ["4XX"]}}}
)
PROMISES = [
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
    checks.response_headers_conformance,
    checks.negative_data_rejection,
]


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SurfaceStation]:
    with surface_station(tmp_path_factory.mktemp("surface") / "s") as running:
        running.make_live(running.shelve(Tiny(), "a"), "a")
        running.shelve(Tiny(version="2.0.0"), "b")
        yield running


@pytest.fixture(scope="module")
def document(station: SurfaceStation) -> Any:
    return station.get("/openapi.json").json


@pytest.mark.parametrize(("method", "path", "mode"), OPERATIONS)
def test_every_generated_request_is_answered_as_documented(
    station: SurfaceStation,
    document: Any,
    method: str,
    path: str,
    mode: schemathesis.GenerationMode,
) -> None:
    schema = schemathesis.openapi.from_dict(document, config=CONFIG)
    schema.config.update(base_url=f"http://127.0.0.1:{station.port}")
    headers = {"Authorization": f"Bearer {TOKEN}"}

    @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    def ask(case: Any) -> None:
        station.turn()
        response = case.call(headers=headers)
        assert response.status_code != 500
        case.validate_response(response, checks=PROMISES)

    ask()


def test_document_names_every_status_that_the_surface_can_answer(document: Any) -> None:
    said = {
        f"{method} {path}": set(operation["responses"])
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    assert said == {
        "post /infer": {"200", "400", "408", "413", "415", "422", "429", "503"},
        "post /reload-model": {
            "200", "202", "400", "401", "403", "404", "408", "409", "413", "415", "422", "503",
        },
        "post /report-escape": {
            "200", "400", "401", "403", "404", "408", "409", "413", "415", "422", "503",
        },
        "post /clear-model": {
            "200", "400", "401", "403", "404", "408", "413", "415", "422", "503",
        },
        "post /hold": {"200", "400", "401", "403", "408", "413", "415", "422", "503"},
        "post /release-hold": {
            "200", "400", "401", "403", "404", "408", "413", "415", "422", "503",
        },
        "get /healthz": {"200", "503"},
        "get /readyz": {"200", "503"},
        "get /metrics": {"200"},
    }  # fmt: skip


def test_every_error_of_the_document_has_an_example_of_its_own_shape(document: Any) -> None:
    shapes = document["components"]["schemas"]
    required = set(shapes["Problem"]["properties"])
    for methods in document["paths"].values():
        for operation in methods.values():
            for status, response in operation["responses"].items():
                content = response["content"].get("application/json", {})
                if int(status) >= 400 and "Problem" in json.dumps(content.get("schema", {})):
                    assert set(content["example"]) == required


def test_document_itself_is_valid_openapi(tmp_path: Path, document: Any) -> None:
    schema = schemathesis.openapi.from_dict(document)
    assert schema.validate() is None
