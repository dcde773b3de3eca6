import contextlib
import http.server
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from taktgate.contracts.twins import ModelOrder
from taktgate.staging.errors import (
    DeniedError,
    NotFoundError,
    StagingError,
    TooLargeError,
    TooSlowError,
    UnreachableError,
)
from taktgate.staging.fetch.web import (
    FetchLimits,
    UrlFetcher,
    broken_rule,
    bundle_url,
    public_part,
)
from taktgate.staging.states import Request

CONTENT = b"bundle" * 1000
Answer = Callable[[http.server.BaseHTTPRequestHandler], None]
Serve = Callable[[Answer], str]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Return what starts a web server that gives one answer, and returns its URL."""
    servers: list[http.server.ThreadingHTTPServer] = []

    def start(answer: Answer) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_address[1]}/b"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def content(length: int | None = len(CONTENT)) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        if length is not None:
            handler.send_header("Content-Length", str(length))
        handler.end_headers()
        handler.wfile.write(CONTENT)

    return answer


def status(code: int, **headers: str) -> Answer:
    def answer(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()

    return answer


def fetched(url: str, **limits: float) -> bytes:
    return b"".join(UrlFetcher(limits=FetchLimits(**limits)).fetch(url))  # type: ignore[arg-type]


@pytest.mark.parametrize("length", [len(CONTENT), None])
def test_content_comes_whole(serve: Serve, length: int | None) -> None:
    assert fetched(serve(content(length))) == CONTENT


def test_a_file_url_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a b.bundle"
    path.write_bytes(CONTENT)
    assert fetched(path.as_uri()) == CONTENT


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (404, NotFoundError),
        (410, NotFoundError),
        (401, DeniedError),
        (403, DeniedError),
        (429, UnreachableError),
        (500, UnreachableError),
        (503, UnreachableError),
    ],
)
def test_a_status_becomes_a_typed_error(serve: Serve, code: int, error: type[StagingError]) -> None:
    with pytest.raises(error, match=str(code)):
        fetched(serve(status(code)))


def test_a_redirect_away_from_the_web_is_denied(serve: Serve) -> None:
    with pytest.raises(DeniedError, match="redirected"):
        fetched(serve(status(302, Location="ftp://elsewhere/b")))


@pytest.mark.parametrize("length", [len(CONTENT), None])
def test_more_than_the_limit_is_refused_whether_announced_or_not(
    serve: Serve, length: int | None
) -> None:
    with pytest.raises(TooLargeError):
        fetched(serve(content(length)), size_bytes=len(CONTENT) - 1)


def test_a_connection_that_ends_early_is_tried_again(serve: Serve) -> None:
    with pytest.raises(UnreachableError, match="6000 of 6001 bytes"):
        fetched(serve(content(len(CONTENT) + 1)))


def test_a_registry_that_falls_silent_is_too_slow(serve: Serve) -> None:
    over = threading.Event()

    def silence(_: http.server.BaseHTTPRequestHandler) -> None:
        over.wait(5)

    with pytest.raises(TooSlowError):
        fetched(serve(silence), stall_s=0.1)
    over.set()


def test_a_download_has_a_limit_as_a_whole(serve: Serve) -> None:
    def trickle(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        for _ in range(20):
            handler.wfile.write(b"x" * 300_000)
            handler.wfile.flush()
            time.sleep(0.02)

    with pytest.raises(TooSlowError, match="not complete"):
        fetched(serve(trickle), total_s=0.05)


def test_nobody_there_is_unreachable() -> None:
    with pytest.raises(UnreachableError):
        fetched("http://127.0.0.1:1/b")


def test_no_such_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        fetched((tmp_path / "none").as_uri())


def test_a_folder_is_denied(tmp_path: Path) -> None:
    with pytest.raises(DeniedError):
        fetched(tmp_path.as_uri())


def test_a_file_on_another_host_is_not_found() -> None:
    with pytest.raises(NotFoundError, match="other host"):
        fetched("file://elsewhere/b")


@pytest.mark.parametrize(
    "url",
    [
        "http://[x/b",
        "https://a..b/b",
        "http://127.0.0.1:99999999999999999999/b",
        "http://127.0.0.1:1/mod\u00e8les",
        "http://mod\u00e8les.\u2100/b",
        "file:///a%00b",
        "nonsense",
    ],
)
def test_a_malformed_url_in_a_saved_order_is_a_typed_error(url: str) -> None:
    with pytest.raises(NotFoundError, match="malformed"):
        fetched(url)


@pytest.mark.parametrize("location", ["http://[x/b", "http://a..b/b"])
def test_a_redirect_to_a_malformed_url_is_a_typed_error(serve: Serve, location: str) -> None:
    with pytest.raises(NotFoundError, match="malformed"):
        fetched(serve(status(302, Location=location)))


@given(st.text(max_size=60), st.sampled_from(["http://", "https://", "file://"]))
@settings(deadline=None)
def test_any_repository_breaks_a_rule_or_gives_a_url_that_can_be_parsed(
    text: str, scheme: str
) -> None:
    repository = scheme + text
    if broken_rule(repository) is None:
        model = ModelOrder(name="weld-seam", version="1.0.0", order="o")
        url = bundle_url(Request(model=model, repository=repository), "cpu")
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
        ("https://x", "https://x/weld-seam/1.0.0/cpu.bundle"),
        ("https://x/models/", "https://x/models/weld-seam/1.0.0/cpu.bundle"),
        ("https://x/models?sig=s", "https://x/models/weld-seam/1.0.0/cpu.bundle?sig=s"),
        ("file:///srv", "file:///srv/weld-seam/1.0.0/cpu.bundle"),
    ],
)
def test_a_bundle_lies_under_name_version_and_device_class(repository: str, url: str) -> None:
    model = ModelOrder(name="weld-seam", version="1.0.0", order="o")
    assert bundle_url(Request(model=model, repository=repository), "cpu") == url


def test_secrets_of_a_url_are_not_reported() -> None:
    assert public_part("https://me:pw@x:8/m/b?sig=s#f") == "https://x:8/m/b"


def test_a_registry_that_drips_hands_over_what_it_has_and_runs_out_of_time(serve: Serve) -> None:
    """Each drop comes well within the stall limit: only the limit of the whole can end it."""

    def drip(handler: http.server.BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Length", "1000")
        handler.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(1000):
                handler.wfile.write(b"x")
                time.sleep(0.05)

    fetcher = UrlFetcher(limits=FetchLimits(stall_s=5.0, total_s=0.5))
    pieces = fetcher.fetch(serve(drip))
    assert len(next(pieces)) < 100
    with pytest.raises(TooSlowError):
        list(pieces)
