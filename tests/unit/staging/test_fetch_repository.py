"""A repository's URL: what passes, and what of it may be said aloud."""

import urllib.request

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taktgate.staging.fetch.repository import broken_rule, place_in, public_part


@given(st.text(max_size=60), st.sampled_from(["http://", "https://", "file://"]))
@settings(deadline=None, max_examples=60)
def test_any_repository_breaks_a_rule_or_gives_a_url_that_can_be_parsed(
    text: str, scheme: str
) -> None:
    repository = scheme + text
    if broken_rule(repository) is None:
        url = place_in(repository, "targets/b")
        assert public_part(url).startswith(scheme.rstrip("/"))
        assert urllib.request.Request(url).selector.isascii()


@pytest.mark.parametrize(
    "repository",
    [
        "https://models.example",
        "http://127.0.0.1:8080/models/",
        "http://[::1]:8080",
        "https://x.blob.core.windows.net/models?sv=2024&sig=a%2Fb%3D",
        "file:///srv/models",
        "file://localhost/srv/a%20b",
    ],
)
def test_a_usable_repository_breaks_no_rule(repository: str) -> None:
    assert broken_rule(repository) is None


@pytest.mark.parametrize(
    ("repository", "url"),
    [
        ("https://x", "https://x/targets/b"),
        ("https://x/models/", "https://x/models/targets/b"),
        ("https://x/models?sig=s", "https://x/models/targets/b?sig=s"),
        ("file:///srv", "file:///srv/targets/b"),
    ],
)
def test_a_place_in_a_repository_keeps_the_query_at_the_end(repository: str, url: str) -> None:
    assert place_in(repository, "targets/b") == url


def test_secrets_of_a_url_are_not_reported() -> None:
    assert public_part("https://me:pw@x:8/m/b?sig=s#f") == "https://x:8/m/b"
