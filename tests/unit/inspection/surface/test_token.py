"""Who may order a model by HTTP."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.inspection.surface.errors import BadInputError
from taktgate.inspection.surface.token import TokenGuard

TOKEN = "0123456789abcdef-€"


def status(guard: TokenGuard, authorization: str | None) -> int:
    try:
        guard.admit(authorization)
    except BadInputError as error:
        return error.status
    return 200


@pytest.fixture(scope="module")
def guard(tmp_path_factory: pytest.TempPathFactory) -> TokenGuard:
    path = tmp_path_factory.mktemp("token") / "token"
    path.write_text(TOKEN + "\n", encoding="utf-8")
    return TokenGuard(path)


@pytest.mark.parametrize("authorization", [f"Bearer {TOKEN}", f"bearer  {TOKEN} "])
def test_the_token_admits(guard: TokenGuard, authorization: str) -> None:
    assert status(guard, authorization) == 200


@pytest.mark.parametrize(
    "authorization",
    [
        None,
        "",
        "Bearer",
        "Bearer ",
        TOKEN,
        f"Basic {TOKEN}",
        f"Bearer {TOKEN}x",
        f"Bearer {TOKEN[:-1]}",
    ],
)
def test_anything_but_the_token_is_401(guard: TokenGuard, authorization: str | None) -> None:
    assert status(guard, authorization) == 401


@given(text=st.text(alphabet=st.characters(exclude_categories=[]), max_size=60))
def test_no_text_breaks_the_guard(guard: TokenGuard, text: str) -> None:
    assert status(guard, f"Bearer {text}") == (200 if text.strip() == TOKEN else 401)


@pytest.mark.parametrize("content", [None, "", "   \n", "short"])
def test_station_without_a_usable_token_lets_nobody_in(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_text(content)
    for given_token in ("", "short", TOKEN):
        assert status(TokenGuard(path), f"Bearer {given_token}") == 403
    assert status(TokenGuard(None), f"Bearer {TOKEN}") == 403


def test_token_that_was_rotated_counts_from_the_next_request(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text(TOKEN)
    guard = TokenGuard(path)
    assert status(guard, f"Bearer {TOKEN}") == 200
    path.write_text("another-token-of-the-plant")
    assert status(guard, f"Bearer {TOKEN}") == 401
