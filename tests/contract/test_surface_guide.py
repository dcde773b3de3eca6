"""docs/control-surface.md: its commands do what it says, and its figures are those of the code."""

import io
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from tests.integration.surface_station import TOKEN, SurfaceStation, surface_station
from tests.integration.tiny_bundles import SIZE, Tiny
from tests.unit.inspection.records.parts import record

from taktgate.inspection.records.bounded_folder import Bounds
from taktgate.inspection.records.journal import Journal
from taktgate.inspection.surface.limits import Limits

GUIDE = (Path(__file__).parents[2] / "docs/control-surface.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```sh\n(.*?)```", GUIDE, re.DOTALL)


@pytest.fixture(scope="module")
def station(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SurfaceStation]:
    with surface_station(tmp_path_factory.mktemp("surface") / "s") as running:
        running.make_live(running.shelve(Tiny(), "a"), "a")
        running.shelve(Tiny(version="1.1.0"), "b")
        yield running


def answers(station: SurfaceStation, script: str) -> list[Any]:
    """Run the guide's commands against this station; return what they print."""
    for said, meant in (("127.0.0.1:9610", f"127.0.0.1:{station.port}"), ("weld-seam", "tiny")):
        script = script.replace(said, meant)
    data = io.BytesIO()
    Image.new("L", (SIZE, SIZE)).save(data, "PNG")
    (station.folder / "part.png").write_bytes(data.getvalue())
    (station.folder / "part.raw").write_bytes(bytes(SIZE * SIZE))
    tensor = {"tensor": [0.0] * (3 * SIZE * SIZE)}
    (station.folder / "tensor.json").write_text(json.dumps(tensor))
    done = subprocess.run(
        ["bash", "-euc", script], cwd=station.folder, capture_output=True, check=True, timeout=60
    )
    decoder, text, found = json.JSONDecoder(), done.stdout.decode(), []
    while text:
        value, end = decoder.raw_decode(text)
        found.append(value)
        text = text[end:].lstrip()
    return found


def test_its_questions_are_answered_alike(station: SurfaceStation) -> None:
    file, raw, tensor = answers(station, BLOCKS[0])
    assert file["score"] == raw["score"] == tensor["score"]
    assert (raw["correlation_id"], raw["defective"]) == ("part-4711", False)


def test_its_order_is_accepted(station: SurfaceStation) -> None:
    assert TOKEN in (station.folder / "token").read_text()
    [answer] = answers(station, BLOCKS[1])
    assert (answer["status"], answer["requested_model"]) == ("accepted", "tiny-1.1.0")


def test_its_escape_sends_back_what_its_last_command_clears(station: SurfaceStation) -> None:
    good = station.shelve(Tiny(), "a")
    station.confirm(good, "a")
    part = record(1)
    passed = replace(part.envelope, trigger_id=4711, model=good)
    journal = Journal(station.places.records, Bounds(max_bytes=1 << 20, max_age_s=3600))
    journal.append(replace(part, envelope=passed))
    journal.close()

    [escape] = answers(station, BLOCKS[2])
    assert (escape["status"], escape["digest"]) == ("sent back", good.digest)
    records = f"cd {station.places.records}; DIGEST={good.digest}\n{BLOCKS[3]}"
    assert shutil.which("jq") is None or answers(station, records) == [4711]
    [cleared] = answers(station, f"DIGEST={good.digest}\n{BLOCKS[4]}")
    assert cleared["status"] == "cleared"


def test_its_answer_shows_the_fields_that_there_are(station: SurfaceStation) -> None:
    shown = re.search(r"```json\n(.*?)```", GUIDE, re.DOTALL)
    assert shown is not None
    [_, raw, _] = answers(station, BLOCKS[0])
    assert set(json.loads(shown[1])) == set(raw)


def test_its_limits_are_those_of_the_code() -> None:
    limits = Limits()
    for said in (
        f"| {limits.head_bytes // 1024} KiB | 400 |",
        f"| {limits.request_s:g} s |",
        f"| connections | {limits.connections} |",
        f"| requests at once | {limits.concurrency} | 503 |",
        f"| {limits.bodies}, so at most {limits.bodies * limits.infer_bytes // 2**20} MiB | 429 |",
        f"longer than {limits.body_s:g} s, has more than {limits.infer_bytes // 2**20} MiB",
    ):
        assert said in GUIDE
