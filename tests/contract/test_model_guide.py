"""docs/model-guide.md shows what its commands say."""

import pytest
from tests.contract.model_guide import PAGE, Step, masked, replay, steps

TEXT = PAGE.read_text(encoding="utf-8")


def test_every_command_of_the_guide_says_what_the_guide_shows() -> None:
    differing = [
        f"$ {step.command}\n--- the page:\n{masked(step.output)}\n--- now:\n{masked(said)}"
        for step, said in replay(TEXT)
        if masked(step.output) != masked(said)
    ]
    assert differing == [], "\n\n".join(differing) + "\n\nrun python -m tests.contract.model_guide"


def test_the_guide_goes_all_the_way() -> None:
    commands = " ".join(step.command for step in steps(TEXT))
    for word in ("model pack", "model compile", "model inspect", "model verify", "model diff"):
        assert word in commands
    for word in ("registry init", "registry add", "registry promote", "model trace", "revoke"):
        assert word in commands


@pytest.mark.parametrize(
    ("before", "after", "is_same"),
    [
        ("p50 1.2 ms", "p50 13.44 ms", True),
        ("sha256:" + "a" * 64, "sha256:" + "0" * 64, True),
        ("state released", "state revoked", False),
        ("recall 99 %", "recall unknown", False),
    ],
)
def test_only_numbers_are_masked(before: str, after: str, is_same: bool) -> None:
    assert (masked(before) == masked(after)) is is_same


def test_a_command_over_two_lines_is_one() -> None:
    text = "```console\n$ taktgate a \\\n    --b\nsaid\n$ taktgate c\n```"
    assert steps(text) == [
        Step(command="taktgate a --b", output="said"),
        Step(command="taktgate c", output=""),
    ]
