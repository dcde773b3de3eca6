"""The commands of this project: they set up what they need, once, and say what is wrong."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.waiting import WITHIN_S, wait_until

ROOT = Path(__file__).parents[2]
SCRIPTS = (
    "bench", "bootstrap", "build_images", "chaos", "check", "conformance_table", "demo", "fuzz",
    "lock", "offline_day", "plc_conformance", "replay_images", "test", "test_pythons",
)  # fmt: skip

# A Python that makes a .venv as far as the bootstrap looks: each call is written to $CALLS.
FAKE_PYTHON = r"""#!/usr/bin/env bash
printf 'python %s\n' "$*" >>"$CALLS"
case "$*" in
    *sys.version_info*) exit "${UNSUITABLE:-0}" ;;
    *sys.executable*) printf '%s\n' "$0" ;;
    -V) printf 'Python 3.11.0\n' ;;
    "-m venv"*)
        mkdir -p "${!#}/bin"
        cp "$0" "${!#}/bin/python"
        printf 'version = 3.11.0\n' >"${!#}/pyvenv.cfg"
        printf '#!/usr/bin/env bash\nprintf "uv %%s\\n" "$*" >>"$CALLS"\nexit "${UV_EXIT:-0}"\n' \
            >"${!#}/bin/uv"
        chmod +x "${!#}/bin/uv"
        ;;
    *"--requirement requirements/dev.txt"*) exit "${PIP_EXIT:-0}" ;;
esac
"""
FAKE_NPM = r"""#!/usr/bin/env bash
printf 'npm %s\n' "$*" >>"$CALLS"
exit "${NPM_EXIT:-0}"
"""

# A system with root, apt-get and dpkg, whose packages are there once apt-get has installed them.
FAKE_SYSTEM = {
    "id": """#!/usr/bin/env bash
printf '%s\\n' "${USER_ID:-0}"
""",
    "apt-get": """#!/usr/bin/env bash
printf 'apt-get %s\\n' "$*" >>"$CALLS"
[[ ${APT_EXIT:-0} == 0 && $* == *install* ]] && touch "$CALLS.installed"
exit "${APT_EXIT:-0}"
""",
    "dpkg-query": """#!/usr/bin/env bash
[[ -f $CALLS.installed ]] && printf 'installed\\n'
""",
}


class Checkout:
    """A copy of what the bootstrap needs, with a fake Python on PATH."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.calls_file = root / "calls"
        (root / "scripts").mkdir(parents=True)
        shutil.copy(ROOT / "scripts/bootstrap", root / "scripts")
        shutil.copytree(ROOT / "requirements", root / "requirements")
        shutil.copy(ROOT / "pyproject.toml", root)
        tools = root / "tools"
        tools.mkdir()
        (tools / "python3.11").write_text(FAKE_PYTHON, encoding="utf-8")
        (tools / "npm").write_text(FAKE_NPM, encoding="utf-8")
        for tool, content in FAKE_SYSTEM.items():
            (tools / tool).write_text(content, encoding="utf-8")
        for tool in ("python3.11", "npm", *FAKE_SYSTEM):
            (tools / tool).chmod(0o755)
        judges = root / "tests/judges/node"
        judges.mkdir(parents=True)
        shutil.copy(ROOT / "tests/judges/node/package-lock.json", judges)

    def start(self, **environment: str) -> "subprocess.Popen[str]":
        path = f"{self.root / 'tools'}:/usr/bin:/bin"
        return subprocess.Popen(
            [str(self.root / "scripts/bootstrap")],
            env={"PATH": path, "HOME": str(self.root), "CALLS": str(self.calls_file)} | environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    def bootstrap(self, **environment: str) -> tuple[int, str]:
        process = self.start(**environment)
        _, errors = process.communicate(timeout=30)
        return process.returncode, errors

    def calls(self) -> list[str]:
        """Return what was called since the last look."""
        calls = self.calls_file.read_text(encoding="utf-8").splitlines()
        self.calls_file.write_text("", encoding="utf-8")
        return calls


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path / "a checkout")


class TestBootstrap:
    def test_installs_by_hash_and_without_fetching_a_build_tool(self, checkout: Checkout) -> None:
        assert checkout.bootstrap()[0] == 0
        calls = [call for call in checkout.calls() if not call.startswith("apt-get ")]
        installs = [call for call in calls if " install " in call]
        assert len(installs) == 4
        for call in installs[:-1]:
            assert "--require-hashes" in call
        for call in installs[-2:]:
            assert "--no-build-isolation" in call
        assert installs[-1].endswith("--no-deps --no-build-isolation --editable .")

    def test_second_start_calls_nothing(self, checkout: Checkout) -> None:
        checkout.bootstrap()
        checkout.calls()
        assert checkout.bootstrap() == (0, "")
        assert checkout.calls() == []

    @pytest.mark.parametrize("changed", ["requirements/dev.txt", "pyproject.toml"])
    def test_changed_pin_is_installed(self, checkout: Checkout, changed: str) -> None:
        checkout.bootstrap()
        checkout.calls()
        with (checkout.root / changed).open("a", encoding="utf-8") as file:
            file.write("# changed\n")
        assert checkout.bootstrap()[0] == 0
        assert any("--editable ." in call for call in checkout.calls())

    def test_failed_installation_is_repaired_by_the_next_start(self, checkout: Checkout) -> None:
        assert checkout.bootstrap(UV_EXIT="1", PIP_EXIT="1")[0] != 0
        assert not (checkout.root / ".venv/taktgate-bootstrap.sha256").exists()
        assert checkout.bootstrap()[0] == 0
        assert (checkout.root / ".venv/taktgate-bootstrap.sha256").exists()

    def test_pip_does_it_when_uv_cannot(self, checkout: Checkout) -> None:
        code, errors = checkout.bootstrap(UV_EXIT="1")
        assert code == 0
        assert "uv failed, trying the same with pip" in errors
        pip = [call for call in checkout.calls() if call.startswith("python -m pip --python")]
        assert any("--require-hashes" in call and "dev.txt" in call for call in pip)

    def test_judges_are_installed_as_locked_and_run_no_script(self, checkout: Checkout) -> None:
        checkout.bootstrap()
        (npm,) = [call for call in checkout.calls() if call.startswith("npm ")]
        assert npm.startswith("npm ci ")
        assert "--ignore-scripts" in npm

    def test_judges_that_cannot_be_installed_are_left_out(self, checkout: Checkout) -> None:
        code, errors = checkout.bootstrap(NPM_EXIT="1")
        assert code == 0
        assert "tests/judges/node are left out" in errors

    def test_judges_that_failed_are_tried_again_but_not_at_each_start(
        self, checkout: Checkout
    ) -> None:
        checkout.bootstrap(NPM_EXIT="1")
        checkout.calls()
        assert checkout.bootstrap() == (0, "")
        assert checkout.calls() == []
        an_hour_ago = time.time() - 3601
        failure, lock = (
            checkout.root / "tests/judges/node" / name
            for name in ("npm-failed", "package-lock.json")
        )
        os.utime(lock, (an_hour_ago - 1, an_hour_ago - 1))
        os.utime(failure, (an_hour_ago, an_hour_ago))
        assert checkout.bootstrap() == (0, "")
        assert [call.split()[0] for call in checkout.calls()] == ["npm"]

    def test_camera_packages_are_installed_once_and_nothing_they_recommend(
        self, checkout: Checkout
    ) -> None:
        checkout.bootstrap()
        update, install = [call for call in checkout.calls() if call.startswith("apt-get ")]
        assert update.endswith(" update")
        assert "--no-install-recommends libaravis-0.8-0 " in install
        assert checkout.bootstrap(TAKTGATE_VENV=str(checkout.root / "another"))[0] == 0
        assert not [call for call in checkout.calls() if call.startswith("apt-get ")]

    @pytest.mark.parametrize("environment", [{"APT_EXIT": "1"}, {"USER_ID": "1000"}])
    def test_camera_packages_that_cannot_be_had_are_left_out_for_an_hour(
        self, checkout: Checkout, environment: dict[str, str]
    ) -> None:
        code, errors = checkout.bootstrap(**environment)
        assert code == 0
        assert "left out for an hour, with their tests: GigE Vision and RTSP" in errors
        checkout.calls()
        assert checkout.bootstrap() == (0, "")
        assert checkout.calls() == []
        an_hour_ago = time.time() - 3601
        failure = checkout.root / ".venv/taktgate-camera-packages-failed"
        os.utime(failure, (an_hour_ago, an_hour_ago))
        checkout.bootstrap()
        assert any(call.startswith("apt-get ") for call in checkout.calls())

    def test_the_system_is_left_alone_when_asked(self, checkout: Checkout) -> None:
        checkout.bootstrap(TAKTGATE_SYSTEM_PACKAGES="0")
        assert not [call for call in checkout.calls() if call.startswith("apt-get ")]

    def test_judges_are_installed_once_for_all_pythons(self, checkout: Checkout) -> None:
        checkout.bootstrap()
        checkout.calls()
        checkout.bootstrap(TAKTGATE_VENV=str(checkout.root / "another"))
        assert not [call for call in checkout.calls() if call.startswith("npm ")]

    def test_two_at_once_install_once(self, checkout: Checkout) -> None:
        both = [checkout.start(), checkout.start()]
        for process in both:
            process.communicate(timeout=30)
        assert [process.returncode for process in both] == [0, 0]
        assert sum("--editable ." in call for call in checkout.calls()) == 1

    def test_unsuitable_python_is_refused_in_one_line(self, checkout: Checkout) -> None:
        code, errors = checkout.bootstrap(UNSUITABLE="1", PYTHON="python3.11")
        assert code == 1
        assert errors.splitlines() == [
            "bootstrap: needs Python 3.11, 3.12 or 3.13 on PATH (tried: python3.11);"
            " set PYTHON to one"
        ]
        assert not (checkout.root / ".venv").exists()

    def test_moved_checkout_is_set_up_again(self, checkout: Checkout) -> None:
        checkout.bootstrap()
        checkout.calls()
        moved = checkout.root.with_name("moved")
        checkout.root.rename(moved)
        checkout.root = moved
        checkout.calls_file = moved / "calls"
        assert checkout.bootstrap()[0] == 0
        assert any("--editable ." in call for call in checkout.calls())


@pytest.mark.parametrize("name", SCRIPTS)
def test_script_is_executable_and_parses(name: str) -> None:
    path = ROOT / "scripts" / name
    assert os.access(path, os.X_OK)
    subprocess.run(["bash", "-n", str(path)], check=True)


@pytest.mark.parametrize("name", ["test", "demo", "check", "lock"])
def test_script_sets_up_what_it_needs(name: str) -> None:
    assert "scripts/bootstrap" in (ROOT / "scripts" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["test", "demo"])
def test_onnx_runtime_never_phones_home(name: str) -> None:
    text = (ROOT / "scripts" / name).read_text(encoding="utf-8")
    assert "export ORT_DISABLE_TELEMETRY=1" in text


@pytest.mark.parametrize(
    ("broken", "headline"),
    [
        ("ruff", "lint (ruff check)"),
        ("mypy", "types (mypy --strict)"),
        ("lint-imports", "imports (lint-imports)"),
    ],
)
def test_check_runs_everything_and_names_what_failed(
    tmp_path: Path, broken: str, headline: str
) -> None:
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/check", tmp_path / "scripts")
    (tmp_path / "scripts/bootstrap").write_text("#!/bin/sh\n", encoding="utf-8")
    (tmp_path / "scripts/bootstrap").chmod(0o755)
    (tmp_path / ".venv/bin").mkdir(parents=True)
    for folder in ("src", "modules", "tests"):
        (tmp_path / folder).mkdir()
    for tool in ("ruff", "mypy", "lint-imports"):
        fake = tmp_path / ".venv/bin" / tool
        fake.write_text(f"#!/bin/sh\nexit {int(tool == broken)}\n", encoding="utf-8")
        fake.chmod(0o755)
    done = subprocess.run(
        [str(tmp_path / "scripts/check")], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert len(re.findall(r"^== [a-z]+ \(", done.stdout, re.M)) == 4, "all four ran"
    assert f"== FAILED: {headline}" in done.stdout


FAKE_PYTEST = """#!/bin/sh
echo "$*" >>calls
case "$*" in *"$FAILS") exit 3 ;; esac
"""

# One that runs until Ctrl-C and then has to clean up; should it hear none, it ends some day.
FAKE_LONG_PYTEST = """#!/usr/bin/env bash
trap 'sleep 0.3; echo ended >>calls; exit 2' INT
echo began >>calls
for _ in {1..600}; do sleep 0.05; done
"""


def scripts_test(root: Path, *, pytest: str) -> Path:
    """Return a copy of scripts/test below *root* whose pytest is the program *pytest*."""
    (root / "scripts").mkdir()
    shutil.copy(ROOT / "scripts/test", root / "scripts")
    (root / ".venv/bin").mkdir(parents=True)
    for name, text in (("scripts/bootstrap", "#!/bin/sh\n"), (".venv/bin/python", pytest)):
        (root / name).write_text(text, encoding="utf-8")
        (root / name).chmod(0o755)
    return root / "scripts/test"


def calls_of(root: Path) -> list[str]:
    """Return what the fake pytests below *root* have written by now."""
    calls = root / "calls"
    return calls.read_text(encoding="utf-8").splitlines() if calls.exists() else []


def run_tests(root: Path, *arguments: str, fails: str = "nothing") -> tuple[int, list[str]]:
    """Run scripts/test with a pytest that fails on *fails*; return its code and pytest's calls."""
    script = [str(scripts_test(root, pytest=FAKE_PYTEST)), *arguments]
    code = subprocess.run(script, env={**os.environ, "FAILS": fails}, check=False).returncode
    return code, calls_of(root)


@pytest.mark.parametrize(
    ("fails", "code"),
    [("nothing", 0), (" tests/contract", 3), ("--ignore=tests/contract", 3)],
)
def test_all_tests_run_in_two_halves_and_either_may_fail(
    tmp_path: Path, fails: str, code: int
) -> None:
    ended, calls = run_tests(tmp_path, fails=fails)
    assert ended == code
    assert sorted(calls) == [
        "-m pytest --ignore=tests/e2e --ignore=tests/unit --ignore=tests/contract",
        "-m pytest -p no:cacheprovider tests/e2e tests/unit tests/contract",
    ]


@pytest.mark.parametrize(
    ("send", "number"),
    [(os.killpg, signal.SIGINT), (os.kill, signal.SIGINT), (os.kill, signal.SIGTERM)],
    ids=["ctrl-c", "SIGINT", "SIGTERM"],
)
def test_interrupted_tests_have_ended_when_their_script_has(
    tmp_path: Path, send: Callable[[int, int], None], number: signal.Signals
) -> None:
    script = str(scripts_test(tmp_path, pytest=FAKE_LONG_PYTEST))
    # These tests may themselves run where nobody hears SIGINT: in the background of a shell.
    command = ["env", "--default-signal=INT", script]
    with subprocess.Popen(command, start_new_session=True) as process:
        wait_until(lambda: calls_of(tmp_path) == ["began", "began"])
        send(process.pid, number)
        assert process.wait(timeout=WITHIN_S) == 130
    assert calls_of(tmp_path) == ["began", "began", "ended", "ended"]


def test_tests_that_are_named_run_alone(tmp_path: Path) -> None:
    assert run_tests(tmp_path, "-k", "line", fails="line") == (3, ["-m pytest -k line"])


def test_ci_runs_the_same_commands_as_people() -> None:
    assert "scripts/test" in (ROOT / ".ci/run").read_text(encoding="utf-8")
    workflow = (ROOT / ".github/workflows/edge-ci.yml").read_text(encoding="utf-8")
    called = set(re.findall(r"(?<![\w./-])scripts/([\w.]+)", workflow))
    assert {"test", "check"} <= called
    assert all((ROOT / "scripts" / name).exists() for name in called)


def test_workflow_is_one_that_github_takes() -> None:
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema"]
    workflow = str(ROOT / ".github/workflows/edge-ci.yml")
    subprocess.run([*command, "vendor.github-workflows", workflow], check=True)


def test_dev_container_has_the_same_python_and_commands() -> None:
    content = json.loads((ROOT / ".devcontainer/devcontainer.json").read_text(encoding="utf-8"))
    assert content["postCreateCommand"] == "scripts/bootstrap"
    assert re.search(r"python:3\.11-bookworm$", content["image"])
    assert content["remoteEnv"]["ORT_DISABLE_TELEMETRY"] == "1"


def test_this_suite_runs_on_a_supported_python() -> None:
    assert (3, 11) <= sys.version_info[:2] <= (3, 13)


def test_every_process_of_the_data_plane_is_kept_from_the_cloud() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = project["tool"]["importlinter"]["contracts"]
    (contract,) = [one for one in contracts if one["name"].startswith("the data plane")]
    sources = ROOT / "src"
    slices = ("inspection", "plc", "staging")
    processes = [
        path for each in slices for path in (sources / "taktgate" / each).rglob("*process.py")
    ]
    names = {".".join(path.relative_to(sources).with_suffix("").parts) for path in processes}
    control_plane = {name for name in names if re.search(r"(agent|stager)[._]process$", name)}
    assert names - control_plane == set(contract["source_modules"])
