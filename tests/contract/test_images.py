"""The images: module.json, Dockerfiles and .dockerignore, held together without an engine."""

import json
import shutil
import tomllib
from pathlib import Path

import pytest

from taktgate.contracts.routes import INFERENCE, MODEL_STAGER, PLC_WRITER
from taktgate.gates.build_context import files_in_context
from taktgate.gates.deployment import create_options_of, modules_of
from taktgate.gates.dockerfile import (
    arguments_of,
    copied_from_context,
    is_in_context,
    read_dockerfile,
)
from taktgate.gates.image_names import images_for
from taktgate.gates.images import dockerfiles_of, faults_of, read_module_file

ROOT = Path(__file__).parents[2]
MODULES = (INFERENCE, PLC_WRITER, MODEL_STAGER)
IGNORE = (ROOT / ".dockerignore").read_text(encoding="utf-8")


@pytest.mark.parametrize("module", MODULES)
def test_images_of_the_module_can_be_built(module: str) -> None:
    assert faults_of(ROOT / "modules" / module, ROOT) == []


@pytest.mark.parametrize("module", MODULES)
def test_module_file_carries_the_version_of_the_project(module: str) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    assert read_module_file(ROOT / "modules" / module).image.tag.version == version
    for instructions in dockerfiles_of(ROOT / "modules" / module).values():
        (label,) = [i.value for i in instructions if i.keyword == "LABEL"]
        assert f'image.version="{version}"' in label


@pytest.mark.parametrize("module", MODULES)
def test_every_dockerfile_belongs_to_a_platform(module: str) -> None:
    folder = ROOT / "modules" / module
    named = set(read_module_file(folder).image.tag.platforms.values())
    assert named == {f"./{path.name}" for path in folder.glob("Dockerfile*")}
    assert {"amd64", "arm64v8"} <= set(read_module_file(folder).image.tag.platforms)


@pytest.mark.parametrize("module", MODULES)
def test_user_of_the_image_is_the_user_of_the_deployment(module: str) -> None:
    template = json.loads((ROOT / "deployment.template.json").read_text("utf-8"))
    user = create_options_of(modules_of(template)[module])["User"]
    for instructions in dockerfiles_of(ROOT / "modules" / module).values():
        assert [i.value for i in instructions if i.keyword == "USER"] == [user]


@pytest.mark.parametrize("module", MODULES)
def test_image_makes_every_mounted_folder_so_that_a_new_volume_is_writable(module: str) -> None:
    template = json.loads((ROOT / "deployment.template.json").read_text("utf-8"))
    host = create_options_of(modules_of(template)[module])["HostConfig"]
    mounted = {bind.split(":")[1] for bind in host["Binds"]} | set(host["Tmpfs"])
    for instructions in dockerfiles_of(ROOT / "modules" / module).values():
        made = " ".join(i.value for i in instructions if i.keyword == "RUN").split()
        assert mounted - {"/tmp"} <= set(made)


def test_shared_folders_have_the_same_owner_and_mode_in_every_image() -> None:
    # Docker fills a new volume from whichever container comes first.
    made: dict[str, set[str]] = {}
    for module in MODULES:
        for instructions in dockerfiles_of(ROOT / "modules" / module).values():
            steps = [s for i in instructions if i.keyword == "RUN" for s in i.value.split("&& ")]
            for step in (s.strip() for s in steps if s.startswith("install -d")):
                made.setdefault(step.split()[-1], set()).add(step)
    assert all(len(made[path]) == 1 for path in made if path != "/run/taktgate/private")


def test_gpu_runtime_is_in_the_gpu_images_only() -> None:
    runtimes = {
        platform: arguments_of(instructions)["RUNTIME"]
        for platform, instructions in dockerfiles_of(ROOT / "modules" / INFERENCE).items()
    }
    assert runtimes == {
        "amd64": "cpu",
        "amd64.gpu": "gpu",
        "amd64.gpu-cuda12": "gpu-cuda12",
        "arm64v8": "cpu",
    }


@pytest.mark.parametrize("module", MODULES)
def test_image_names_are_those_of_iotedgedev(module: str) -> None:
    images = dict(images_for("amd64", registry="Registry.example", modules=ROOT / "modules"))
    name = f"registry.example/taktgate-{module.replace('_', '-')}:0.1.0-amd64"
    assert images[name] == ROOT / "modules" / module / "Dockerfile.amd64"


@pytest.mark.parametrize("module", MODULES)
def test_no_image_phones_home_or_needs_a_frontend_from_a_registry(module: str) -> None:
    for path in (ROOT / "modules" / module).glob("Dockerfile*"):
        text = path.read_text(encoding="utf-8")
        assert "ORT_DISABLE_TELEMETRY=1" in text
        assert "syntax=" not in text
        assert "://" not in text


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("src/taktgate/edge/settings.py", True),
        ("requirements/plc_writer.txt", True),
        ("modules/plc_writer/main.py", True),
        ("modules/plc_writer/README.md", False),
        ("src/taktgate/standin/samples/weld/model.onnx", False),
        ("src/taktgate/standin/__init__.py", False),
        ("src/taktgate/edge/__pycache__/settings.cpython-311.pyc", False),
        ("tests/contract/test_images.py", False),
        ("config/trusted_keys/dev.pem", False),
        (".venv/bin/python", False),
        (".git/config", False),
        (".env", False),
    ],
)
def test_build_context_is_an_allow_list(path: str, kept: bool) -> None:
    assert is_in_context(path, IGNORE) is kept


def test_build_context_holds_our_code_and_no_other() -> None:
    files = {path.as_posix() for path in files_in_context(ROOT)}
    assert "src/taktgate/edge/settings.py" in files
    tops = {path.split("/")[0] for path in files}
    assert tops <= {"src", "requirements", "modules", "pyproject.toml", "README.md", "LICENSE"}
    assert not any("standin" in path or path.endswith(".pyc") for path in files)


class TestGate:
    @pytest.fixture
    def root(self, tmp_path: Path) -> Path:
        shutil.copytree(ROOT / "modules" / PLC_WRITER, tmp_path / "modules" / PLC_WRITER)
        shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
        for name in (".dockerignore", "pyproject.toml", "README.md", "LICENSE"):
            shutil.copy(ROOT / name, tmp_path)
        (tmp_path / "src").mkdir()
        (tmp_path / "modules" / PLC_WRITER / "main.py").touch()
        return tmp_path

    def faults(self, root: Path) -> list[str]:
        return faults_of(root / "modules" / PLC_WRITER, root)

    def change(self, root: Path, old: str, new: str, *, platforms: str = "*") -> None:
        for path in (root / "modules" / PLC_WRITER).glob(f"Dockerfile.{platforms}"):
            text = path.read_text(encoding="utf-8")
            assert old in text
            path.write_text(text.replace(old, new), encoding="utf-8")

    def test_healthy_module_has_no_fault(self, root: Path) -> None:
        assert self.faults(root) == []

    def test_missing_source_is_found(self, root: Path) -> None:
        (root / "requirements/plc_writer.txt").unlink()
        assert self.faults(root)[0].endswith("COPY requirements/plc_writer.txt: no such file")

    def test_hidden_source_is_found(self, root: Path) -> None:
        with (root / ".dockerignore").open("a") as ignore:
            ignore.write("LICENSE\n")
        assert self.faults(root)[0].endswith("COPY LICENSE: hidden by .dockerignore")

    def test_drift_between_platforms_is_found(self, root: Path) -> None:
        self.change(root, "EXPOSE 9600", "EXPOSE 9601", platforms="arm64v8")
        assert self.faults(root) == [
            f"{PLC_WRITER}: Dockerfiles differ in more than the defaults of ARG"
        ]

    def test_root_user_is_found(self, root: Path) -> None:
        self.change(root, "USER 13632:13630", "USER 0:0")
        assert "USER other than root" in self.faults(root)[0]

    def test_entrypoint_through_a_shell_is_found(self, root: Path) -> None:
        self.change(root, "ENTRYPOINT [", "ENTRYPOINT python [")
        assert "exec form" in self.faults(root)[0]

    def test_unknown_key_of_the_module_file_is_found(self, root: Path) -> None:
        path = root / "modules" / PLC_WRITER / "module.json"
        path.write_text(path.read_text("utf-8").replace("contextPath", "contextpath"), "utf-8")
        with pytest.raises(ValueError, match=r"plc_writer/module\.json: .*context"):
            self.faults(root)


def test_dockerfile_is_read_with_continuations_comments_and_arguments() -> None:
    text = 'ARG SET="cpu"\n# note\nCOPY a-${SET} \\\n    b dest/\nCOPY --from=build /x /y\n'
    assert copied_from_context(read_dockerfile(text)) == ("a-cpu", "b")
