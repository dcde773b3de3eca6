"""The commands of docs/model-guide.md, run again in an empty folder.

`python -m tests.contract.model_guide` writes what they say now into the page.
"""

import io
import os
import re
import shlex
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import chdir, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from PIL import Image

from taktgate.cli import main
from taktgate.standin.imagesets.opening import WELD, open_imageset
from taktgate.standin.imagesets.port import Split

ROOT: Final = Path(__file__).parents[2]
PAGE: Final = ROOT / "docs/model-guide.md"
SAMPLES: Final = ROOT / "src/taktgate/standin/samples"
TEST_IMAGES: Final = 40
_BLOCK: Final = re.compile(r"```console\n(.*?)```", re.DOTALL)
_YAML: Final = re.compile(r"```yaml\n(.*?)```", re.DOTALL)
_MASKS: Final = (
    (re.compile(r"(?:sha256:|ed25519:)?[0-9a-f]{8,64}\b"), "#"),
    (re.compile(r"x86_64|aarch64"), "MACHINE"),
    (re.compile(r"[0-9]+(?:[.,:][0-9]+)*"), "#"),
    (re.compile(r"[ ─]+"), " "),
    (re.compile(r"[-.|]{8,}"), "BAR"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command of the page with what it says there."""

    command: str
    output: str


def steps(text: str) -> list[Step]:
    """Return the commands of the page's console blocks, one by one."""
    found = []
    for block in _BLOCK.findall(text):
        for part in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
            lines = part.splitlines()
            last = next(at for at, line in enumerate(lines) if not line.endswith("\\"))
            command = " ".join(line.removesuffix("\\").strip() for line in lines[: last + 1])
            found.append(Step(command=command, output="\n".join(lines[last + 1 :])))
    return found


def replay(text: str) -> Iterator[tuple[Step, str]]:
    """Yield each step with what its command says now; all run in one new folder."""
    with tempfile.TemporaryDirectory() as folder, chdir(folder):
        _lay_out(Path(folder), text)
        for step in steps(text):
            yield step, _said(step.command)


def masked(output: str) -> str:
    """Return *output* without what is another number at each run."""
    for pattern, word in _MASKS:
        output = pattern.sub(word, output)
    return "\n".join(line.strip() for line in output.strip().splitlines() if line.strip())


def refilled(text: str) -> str:
    """Return the page with what its commands say now."""
    said = iter([output for _, output in replay(text)])

    def refill(block: re.Match[str]) -> str:
        lines, is_command, kept = block[1].splitlines(), False, []
        for line in lines:
            if is_command or line.startswith("$ "):
                kept.append(line)
                is_command = line.endswith("\\")
                if not is_command:
                    kept.append(next(said).rstrip())
        return "```console\n" + "\n".join(filter(None, kept)) + "\n```"

    return _BLOCK.sub(refill, text)


def _said(command: str) -> str:
    words = shlex.split(command)
    assert words[0] == "taktgate", command
    output = io.StringIO()
    with redirect_stdout(output), redirect_stderr(output):
        main(words[1:])
    return "\n".join(line.rstrip() for line in output.getvalue().splitlines() if line.strip())


def _lay_out(folder: Path, text: str) -> None:
    """Lay out what an ML engineer has: a trained model, its description, images, keys."""
    os.environ.pop("TAKTGATE_REGISTRY", None)
    with zipfile.ZipFile(SAMPLES / "weld-seam/weld-seam-1.1.0.bundle") as bundle:
        (folder / "trained.onnx").write_bytes(bundle.read("model.onnx"))
        golden = [name for name in bundle.namelist() if name.startswith("golden/")]
        for number, name in enumerate(golden):
            label = "ok" if number in _GOOD else "defective"
            _write(folder / "gold" / label / Path(name).name, bundle.read(name))
    line = open_imageset(WELD, Split.LINE)
    for index in range(TEST_IMAGES):
        item, file = line.item(index), io.BytesIO()
        Image.fromarray(item.pixels).save(file, "BMP")
        _write(folder / "test" / item.label / f"{index:04}.bmp", file.getvalue())
    (folder / "weld.yaml").write_text(_YAML.findall(text)[0], encoding="utf-8")
    for name in ("device_compatibility_matrix.yaml", "trusted_keys/development.pub.pem"):
        _write(folder / "config" / name, (ROOT / "config" / name).read_bytes())
    _write(folder / "plant.pem", (SAMPLES / "development-signing-key.pem").read_bytes())
    _write(folder / "hil.json", b'{"passed": true}\n')
    for version in ("1.0.0", "1.1.0"):
        sample = SAMPLES / f"weld-seam/weld-seam-{version}.bundle"
        _write(folder / sample.name, sample.read_bytes())


_GOOD: Final = frozenset({0, 1, 2, 3, 4})
"""Of the sample's golden images, by name: the first five are ok."""


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


if __name__ == "__main__":
    PAGE.write_text(refilled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    sys.stdout.write(f"{PAGE}\n")
