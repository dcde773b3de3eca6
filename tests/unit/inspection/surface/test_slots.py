"""Names of `/reload-model`: compared with manifests, never made into paths."""

import json
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.integration.tiny_bundles import Tiny, write_bundle

from taktgate.bundle.archive import unpack
from taktgate.bundle.signing import SigningKey
from taktgate.inspection.surface.errors import BadInputError
from taktgate.inspection.surface.reload import find_verified, parse
from taktgate.inspection.surface.slots import SlotBundle, SlotCatalog

SAMPLES = Path(__file__).parents[4] / "src/taktgate/standin/samples"
KEY = SigningKey.load(SAMPLES / "development-signing-key.pem")


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a station's folder: slots, a key, and a bundle outside of the slots."""
    folder = tmp_path_factory.mktemp("station")
    (folder / "keys").mkdir()
    (folder / "keys/dev.pub.pem").write_bytes(KEY.public_pem())
    for slot, tiny in (
        ("slots/a", Tiny(version="1.0.0")),
        ("slots/b", Tiny(version="2.0.0")),
        ("slots/jetson", Tiny(version="3.0.0", device_class="jetson-orin-nx")),
        ("slots/torn", Tiny(version="4.0.0")),
        ("slots/forged", Tiny(version="5.0.0")),
        ("slots/.fetching", Tiny(version="6.0.0")),
        ("outside", Tiny(version="7.0.0")),
    ):
        unpack(write_bundle(folder, tiny, KEY), folder / slot)
    model = folder / "slots/torn/model.onnx"
    model.write_bytes(model.read_bytes()[:-1])
    manifest = folder / "slots/forged/manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"MIT"', b'"BSD"', 1))
    (folder / "slots/empty").mkdir()
    (folder / "slots/file").write_text("no folder")
    return folder


@pytest.fixture(scope="module")
def catalog(station: Path) -> SlotCatalog:
    return SlotCatalog(station / "slots", trusted_keys=station / "keys", device_class="cpu")


def named(catalog: SlotCatalog, **request: object) -> SlotBundle:
    return find_verified(catalog, parse(json.dumps(request).encode()))


def status(catalog: SlotCatalog, body: bytes) -> int:
    try:
        find_verified(catalog, parse(body))
    except BadInputError as error:
        return error.status
    return 200


def test_bundle_is_found_by_name_and_version_and_by_digest(catalog: SlotCatalog) -> None:
    found = named(catalog, model_name="tiny-2.0.0")
    assert (found.slot, found.model.version) == ("b", "2.0.0")
    assert named(catalog, digest=found.model.digest) == found


@pytest.mark.parametrize(
    ("name", "expected", "why"),
    [
        ("tiny-9.0.0", 404, "no slot"),
        ("tiny", 409, "tiny-1.0.0, tiny-2.0.0"),
        ("tiny-3.0.0", 409, "INCOMPATIBLE"),
        ("tiny-4.0.0", 409, "DIGEST"),
        ("tiny-5.0.0", 409, "SIGNATURE"),
        ("tiny-6.0.0", 404, "no slot"),
        ("tiny-7.0.0", 404, "no slot"),
    ],
)
def test_bundle_that_may_not_be_loaded_is_refused_with_its_reason(
    catalog: SlotCatalog, name: str, expected: int, why: str
) -> None:
    with pytest.raises(BadInputError) as caught:
        named(catalog, model_name=name)
    assert (caught.value.status, why in caught.value.rule) == (expected, True)


@pytest.mark.parametrize(
    "name",
    [
        "../outside", "..", ".", "/etc/passwd", "../../tmp/evil", "a/../../outside", "..%2foutside",
        "a/b", "\\\\host\\share", "tiny-1.0.0\n", "tiny-1.0.0\x00", "", "x" * 129, "TINY-1.0.0",
        "~", ".fetching", "slots/a",
    ],
)  # fmt: skip
def test_name_that_could_be_a_path_is_422(catalog: SlotCatalog, name: str) -> None:
    assert status(catalog, json.dumps({"model_name": name}).encode()) == 422


@given(name=st.text(alphabet="./\\%~" + string.ascii_lowercase[:3] + "0-\x00", max_size=30))
def test_no_name_reaches_beyond_the_slots(catalog: SlotCatalog, station: Path, name: str) -> None:
    touched = [path for path in (station / "slots").iterdir() if path.name == name]
    assert not touched or status(catalog, json.dumps({"model_name": name}).encode()) in (404, 422)
    assert status(catalog, json.dumps({"model_name": name}).encode()) in (404, 422)


@given(body=st.binary(max_size=100))
def test_rubbish_is_422(catalog: SlotCatalog, body: bytes) -> None:
    assert status(catalog, body) == 422


@pytest.mark.parametrize(
    "request_",
    [
        {},
        {"model_name": "tiny-1.0.0", "digest": "sha256:" + "0" * 64},
        {"model_name": None},
        {"model_name": 1},
        {"model_name": "tiny-1.0.0", "threshold": 0.1},
        {"digest": "sha256:" + "0" * 63},
        {"digest": "md5:" + "0" * 64},
        [],
        None,
    ],
)
def test_request_that_breaks_a_rule_is_422(catalog: SlotCatalog, request_: object) -> None:
    assert status(catalog, json.dumps(request_).encode()) == 422


def test_slots_volume_that_is_not_there_yet_holds_nothing(tmp_path: Path) -> None:
    catalog = SlotCatalog(tmp_path / "slots", trusted_keys=tmp_path, device_class="cpu")
    assert status(catalog, b'{"model_name": "tiny-1.0.0"}') == 404
