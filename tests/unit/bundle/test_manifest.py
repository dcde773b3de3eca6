"""The manifest says what is wrong with it, and never says anything else."""

import copy
import json
import string
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.bundle.errors import ManifestError
from taktgate.bundle.manifest import Manifest, digest_of, listed

Document = dict[str, Any]

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
FIELDS = tuple(Manifest.model_fields)


def bytes_of(document: object) -> bytes:
    return json.dumps(document).encode()


def put(*path: str | int, value: object) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        place: Any = document
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value

    return change


def drop(name: str) -> Callable[[Document], None]:
    def change(document: Document) -> None:
        del document[name]

    return change


RULES = [
    (put("schema", value="2"), "schema"),
    (put("name", value="Weld"), "name"),
    (put("name", value="../weld"), "name"),
    (put("version", value="1.0.0\n"), "version"),
    (put("version", value="x" * 65), "version"),
    (put("source_digest", value="sha256:ABC"), "source_digest"),
    (put("source_digest", value="sha256:" + "0" * 64), "source_digest must be that of model.onnx"),
    (put("opset", value="18"), "opset"),
    (put("opset", value=True), "opset"),
    (put("input", "dtype", value="float16"), "input.dtype"),
    (put("input", "shape", value=[2, 3, 512, 512]), "input.shape.0"),
    (put("input", "shape", value=[1, 3, 256, 512]), "input.shape must be"),
    (put("input", "dtype", value="float32"), "preprocessing.scale"),
    (put("preprocessing", "resample", value="cubic"), "preprocessing.resample"),
    (put("preprocessing", "scale", value=0.0), "preprocessing.scale"),
    (put("threshold", value=1.5), "threshold"),
    (put("threshold", value=0.6), "uncertain_band"),
    (put("uncertain_band", value={"low": 0.6, "high": 0.4}), "uncertain_band"),
    (put("classes", value=[]), "classes"),
    (put("classes", 1, "name", value="pore"), "classes"),
    (put("golden", "items", value=[]), "golden.items"),
    (put("golden", "items", 0, "id", value="golden/../ok.png"), "golden.items.0.id"),
    (put("golden", "items", 0, "label", value="good"), "golden.items.0.label"),
    (put("golden", "items", 0, "tolerance", value=0.0), "golden.items.0.tolerance"),
    (put("golden", "source", value="elpv-dataset"), "files under golden/"),
    (put("files", 0, "path", value="model.bin"), "files.0.path"),
    (put("files", 1, "sha256", value="sha256:" + "0" * 64), "files under golden/"),
    (put("latency_claims", "n", value=0), "latency_claims.n"),
    (put("latency_claims", "p95_ms", value=9.0), "latency_claims"),
    (put("golden_claims", "recall", "low", value=0.99), "golden_claims.recall"),
    (put("files", 0, "size_bytes", value=(512 << 20) + 1), "files.0.size_bytes"),
    (put("outputs", "score", value="a b"), "outputs.score"),
    (put("surprise", value=1), "surprise"),
    (put("golden_claims", "surprise", value=1), "golden_claims.surprise"),
    (drop("threshold"), "threshold"),
    (drop("hil_report_digest"), "hil_report_digest"),
]


@pytest.mark.parametrize(("change", "named"), RULES)
def test_a_breach_is_refused_by_the_name_of_its_field(
    document: Document, change: Callable[[Document], None], named: str
) -> None:
    change(document)
    with pytest.raises(ManifestError) as caught:
        Manifest.parse(bytes_of(document))
    assert named in str(caught.value)
    assert caught.value.reason == "MANIFEST"


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_threshold_that_is_no_finite_number_is_refused(document: Document, number: str) -> None:
    document["threshold"] = "HERE"
    with pytest.raises(ManifestError):
        Manifest.parse(bytes_of(document).replace(b'"HERE"', number.encode()))


def test_a_key_that_comes_twice_is_refused(document: Document) -> None:
    data = bytes_of(document).replace(b'{"schema"', b'{"threshold": 0.9, "schema"', 1)
    with pytest.raises(ManifestError, match="twice"):
        Manifest.parse(data)


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"null", b"[" * 100_000, b" " * (1 << 21)])
def test_what_is_no_manifest_at_all_is_refused(data: bytes) -> None:
    with pytest.raises(ManifestError):
        Manifest.parse(data)


def test_writing_and_reading_gives_the_same_manifest(manifest: Manifest) -> None:
    assert Manifest.parse(manifest.to_bytes()) == manifest
    assert Manifest.parse(manifest.to_bytes()).to_bytes() == manifest.to_bytes()


@given(
    threshold=st.floats(0.45, 0.55),
    name=st.text(string.ascii_lowercase + string.digits + ".-", min_size=1, max_size=64).filter(
        lambda name: name[0] not in ".-"
    ),
    scores=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_any_values_within_the_rules_survive_writing_and_reading(
    manifest: Manifest, threshold: float, name: str, scores: tuple[float, float]
) -> None:
    changed = json.loads(manifest.to_bytes())
    changed |= {"threshold": threshold, "name": name}
    for item, score in zip(changed["golden"]["items"], scores, strict=True):
        item["score"] = score
    read = Manifest.parse(bytes_of(changed))
    assert (read.threshold, read.name) == (threshold, name)
    assert tuple(item.score for item in read.golden.items) == scores
    assert Manifest.parse(read.to_bytes()) == read


@given(field=st.sampled_from(FIELDS), value=JSON)
def test_any_value_in_any_field_is_read_or_refused_as_manifest(
    manifest: Manifest, field: str, value: object
) -> None:
    changed = json.loads(manifest.to_bytes())
    changed["schema" if field == "schema_version" else field] = value
    with suppress(ManifestError):
        assert Manifest.parse(bytes_of(changed)).name


@given(data=st.binary(max_size=200))
def test_any_bytes_are_refused_as_manifest(data: bytes) -> None:
    with pytest.raises(ManifestError):
        Manifest.parse(data)


def test_the_manifest_cannot_be_changed(manifest: Manifest) -> None:
    with pytest.raises(ValueError, match="frozen"):
        manifest.threshold = 0.9  # type: ignore[misc]


@pytest.mark.parametrize(
    "hidden", ["\x1b[31m", "a\nb", "\x00", "\u202eevil", "\u200b", "\ufeff", "\x9b", "x" * 501]
)
def test_words_for_people_cannot_steer_a_terminal_or_hide(document: Document, hidden: str) -> None:
    document["golden_claims"]["dataset"] = hidden
    with pytest.raises(ManifestError, match=r"golden_claims\.dataset"):
        Manifest.parse(bytes_of(document))


@pytest.mark.parametrize("digits", [20, 5000])
def test_a_number_beyond_what_readers_agree_on_is_refused(document: Document, digits: int) -> None:
    document["golden_claims"]["n_ok"] = "HERE"
    with pytest.raises(ManifestError):
        Manifest.parse(bytes_of(document).replace(b'"HERE"', b"9" * digits))


def test_a_nested_key_that_comes_twice_is_refused(document: Document) -> None:
    data = bytes_of(document).replace(b'"value":', b'"value": 0.5, "value":', 1)
    with pytest.raises(ManifestError, match="twice"):
        Manifest.parse(data)


def test_files_over_the_limit_of_a_bundle_are_refused(document: Document) -> None:
    for its in document["files"]:
        its["size_bytes"] = 256 << 20
    with pytest.raises(ManifestError, match="together"):
        Manifest.parse(bytes_of(document))


@given(seed=st.randoms(use_true_random=False), indent=st.sampled_from([None, 1, 4]))
def test_what_is_written_does_not_depend_on_how_it_was_read(
    manifest: Manifest, seed: Random, indent: int | None
) -> None:
    def shuffled(value: Any) -> Any:
        if isinstance(value, dict):
            names = list(value)
            seed.shuffle(names)
            return {name: shuffled(value[name]) for name in names}
        return [shuffled(each) for each in value] if isinstance(value, list) else value

    other = json.dumps(shuffled(json.loads(manifest.to_bytes())), indent=indent).encode()
    assert Manifest.parse(other).to_bytes() == manifest.to_bytes()


@given(data=st.data())
def test_no_two_manifests_have_one_form(manifest: Manifest, data: st.DataObject) -> None:
    """So the digest of what we write tells bundles apart: each field of each level is in it."""
    document = json.loads(manifest.to_bytes())
    field = data.draw(st.sampled_from(["licence", "threshold", "golden", "files", "toolchain"]))
    changed = copy.deepcopy(document)
    match field:
        case "licence":
            changed[field] = data.draw(st.sampled_from(["BSD", "MIT ", ""]))
        case "threshold":
            changed[field] = data.draw(st.floats(0.45, 0.55).filter(lambda x: x != 0.5))
        case "golden":
            changed[field]["items"][0]["score"] = data.draw(st.floats(0.2, 0.9))
        case "files":
            changed[field][0]["size_bytes"] += data.draw(st.integers(1, 1000))
        case _:
            changed[field]["torch"] = data.draw(st.sampled_from(["2.13.1", "", "2.13.0 "]))
    assert Manifest.parse(bytes_of(changed)).to_bytes() != manifest.to_bytes()


def test_files_are_listed_alike_in_whatever_order_they_come() -> None:
    content = {"model.onnx": b"model", "golden/a.png": b"image"}
    assert listed(content) == listed(dict(reversed(content.items())))
    assert [(its.path, its.size_bytes, its.sha256) for its in listed(content)] == [
        ("golden/a.png", 5, digest_of(b"image")),
        ("model.onnx", 5, digest_of(b"model")),
    ]
