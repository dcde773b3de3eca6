import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from taktgate.rollout.cli import add_commands
from taktgate.rollout.plan import RolloutPlan

RINGS_FILE = Path(__file__).parents[3] / "config" / "rings.yaml"
MODEL = ["--model", "weld-seam", "--version", "1.2.0", "--order", "2026-11-22.1"]
LOGIN = ["--login", "HostName=h;SharedAccessKeyName=n;SharedAccessKey=c2VjcmV0"]
Rollout = Callable[..., int]


@pytest.fixture
def rollout() -> Rollout:
    def run(*arguments: str) -> int:
        parser = argparse.ArgumentParser(prog="taktgate")
        add_commands(parser.add_subparsers())
        parsed = parser.parse_args(["rollout", *arguments])
        code = parsed.run(parsed)
        assert isinstance(code, int)
        return code

    return run


def test_the_manifest_is_for_az(
    rollout: Rollout, capsys: pytest.CaptureFixture[str], plan: RolloutPlan
) -> None:
    assert rollout("manifest", "--rings", str(RINGS_FILE), *MODEL) == 0
    out, err = capsys.readouterr()
    assert list(json.loads(out)["modulesContent"]) == ["$edgeAgent", "model_stager"]
    assert err.startswith("az iot edge deployment create --layered --deployment-id model-weld-")
    assert plan.layer_id in err
    assert rollout("manifest", "--metrics", "--rings", str(RINGS_FILE), *MODEL) == 0
    assert "confirmed" in json.loads(capsys.readouterr().out)["queries"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--rings", "none.yaml", *MODEL], "none.yaml: No such file"),
        (["--rings", str(RINGS_FILE), *MODEL, "--version", "Ü"], "'model.version'"),
        (["--rings", str(RINGS_FILE), *MODEL, "--activation", "never"], "'model.activation'"),
        (["--rings", str(RINGS_FILE), *MODEL, "--order", "it's"], "order"),
        (["--rings", str(RINGS_FILE), *MODEL, "--repository", "ftp://x"], "'repository'"),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(
    rollout: Rollout, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str
) -> None:
    assert rollout("manifest", *arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert words in line


@pytest.mark.parametrize("login", ["nonsense", "HostName=h", "@no-such-file", ""])
def test_a_bad_login_is_bad_input(
    rollout: Rollout, capsys: pytest.CaptureFixture[str], login: str
) -> None:
    assert rollout("status", "--login", login, "--rings", str(RINGS_FILE), *MODEL) == 2
    assert "login:" in capsys.readouterr().err


def test_a_broken_state_file_is_bad_input(
    rollout: Rollout, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    state = tmp_path / "state.json"
    state.write_text("{")
    arguments = ["status", *LOGIN, "--rings", str(RINGS_FILE), "--state", str(state), *MODEL]
    assert rollout(*arguments) == 2
    err = capsys.readouterr().err
    assert str(state) in err
    assert "c2VjcmV0" not in err


def test_help_shows_an_example_and_the_exit_codes(
    rollout: Rollout, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit, match="0"):
        rollout("--help")
    out = capsys.readouterr().out
    assert "taktgate rollout run --login" in out
    assert "exit codes:" in out
