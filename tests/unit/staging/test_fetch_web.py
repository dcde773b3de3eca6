"""One download over real TCP: what servers do, and what that means for the order."""

import contextlib
import os
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.staging.web_server import (
    Answer,
    Handler,
    WebServer,
    partial,
    ranges,
    status,
    web_server,
    whole,
)
from tests.waiting import WITHIN_S

from taktgate.staging.errors import (
    DeniedError,
    NotFoundError,
    StagingError,
    TooLargeError,
    TooSlowError,
    UnreachableError,
)
from taktgate.staging.fetch.patience import FetchLimits
from taktgate.staging.fetch.web import UrlFetcher
from taktgate.standin.azure.certificates import create_authority

CONTENT = bytes(range(256)) * 24
START = 1000
TOKEN = "c2VjcmV0IHNpZ25hdHVyZSBvZiBhIFNBUw%3D%3D"
QUERY = f"?sv=2024-11-04&se=2026-01-31T12%3A00%3A00Z&sig={TOKEN}"
Serve = Callable[[Answer], WebServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    with contextlib.ExitStack() as servers:
        yield lambda answer: servers.enter_context(web_server(answer))


def fetched(url: str, *, limit: int = len(CONTENT), start: int = 0, **limits: float) -> bytes:
    fetcher = UrlFetcher(limits=FetchLimits(**limits))
    return b"".join(fetcher.fetch(url, limit_bytes=limit, start=start))


@pytest.mark.parametrize("length", [-1, None])
def test_content_comes_whole_with_a_length_or_with_the_end_of_the_connection(
    serve: Serve, length: int | None
) -> None:
    assert fetched(serve(whole(CONTENT, length)).url) == CONTENT


def test_content_in_chunks_comes_whole(serve: Serve) -> None:
    def chunked(handler: Handler) -> None:
        handler.protocol_version = "HTTP/1.1"
        status(200, Transfer_Encoding="chunked")(handler)
        for piece in (CONTENT[:10], CONTENT[10:], b""):
            handler.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))

    assert fetched(serve(chunked).url) == CONTENT


def test_a_range_is_asked_for_and_nothing_before_it_comes_again(serve: Serve) -> None:
    server = serve(ranges(CONTENT))
    assert fetched(server.url, start=START) == CONTENT[START:]
    assert server.asked == [("/b", f"bytes={START}-")]


@pytest.mark.parametrize(
    "answer",
    [
        whole(CONTENT),
        whole(CONTENT, None),
        partial(CONTENT, 0, len(CONTENT) - 1),
        partial(CONTENT, START + 1, len(CONTENT) - 1),
        partial(CONTENT, START, len(CONTENT) - 1, total="1500"),
        status(416),
        status(206),
    ],
    ids=["200", "200 without length", "from 0", "one later", "beyond its total", "416", "no range"],
)
def test_a_server_that_makes_nothing_of_a_range_is_asked_for_the_whole_and_read_over(
    serve: Serve, answer: Answer
) -> None:
    def without_ranges(handler: Handler) -> None:
        (answer if handler.headers.get("Range") else whole(CONTENT))(handler)

    assert fetched(serve(without_ranges).url, start=START) == CONTENT[START:]


def test_a_part_that_nobody_asked_for_is_no_content(serve: Serve) -> None:
    with pytest.raises(UnreachableError, match="nobody asked"):
        fetched(serve(partial(CONTENT, 0, 9)).url)


def test_a_shorter_part_than_asked_for_is_not_the_end(serve: Serve) -> None:
    with pytest.raises(UnreachableError, match=f"1100 of {len(CONTENT)}"):
        fetched(serve(partial(CONTENT, START, 1099)).url, start=START)


@pytest.mark.parametrize("start", [0, START])
def test_content_in_another_coding_is_not_taken(serve: Serve, start: int) -> None:
    with pytest.raises(UnreachableError, match="gzip"):
        fetched(serve(whole(CONTENT, Content_Encoding="gzip")).url, start=start)


@pytest.mark.parametrize("length", [-1, None])
def test_more_than_the_limit_is_refused_whether_announced_or_not(
    serve: Serve, length: int | None
) -> None:
    with pytest.raises(TooLargeError):
        fetched(serve(whole(CONTENT, length)).url, limit=len(CONTENT) - 1)


def test_an_announced_length_above_the_limit_is_refused_before_a_byte_is_taken(
    serve: Serve,
) -> None:
    large = serve(whole(bytes(4 << 20))).url
    with pytest.raises(TooLargeError, match=f"{4 << 20} bytes, limit {3 << 20}"):
        next(UrlFetcher().fetch(large, limit_bytes=3 << 20))


def test_an_endless_stream_ends_at_the_limit(serve: Serve) -> None:
    def endless(handler: Handler) -> None:
        status(200)(handler)
        with contextlib.suppress(OSError):
            while True:
                handler.wfile.write(b"x" * 65536)

    pieces = UrlFetcher().fetch(serve(endless).url, limit_bytes=1_000_000)
    came: list[bytes] = []
    with pytest.raises(TooLargeError):
        came.extend(pieces)
    assert len(b"".join(came)) <= 1_000_000


def test_a_connection_that_ends_early_is_tried_again(serve: Serve) -> None:
    answer = whole(CONTENT, len(CONTENT) + 1)
    with pytest.raises(UnreachableError, match="6144 of 6145 bytes"):
        fetched(serve(answer).url, limit=9999)


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (404, NotFoundError),
        (410, NotFoundError),
        (401, DeniedError),
        (403, DeniedError),
        (407, UnreachableError),
        (408, UnreachableError),
        (429, UnreachableError),
        (500, UnreachableError),
        (503, UnreachableError),
    ],
)
def test_a_status_becomes_a_typed_error(serve: Serve, code: int, error: type[StagingError]) -> None:
    with pytest.raises(error, match=str(code)):
        fetched(serve(status(code)).url)


@pytest.mark.parametrize(
    ("headers", "retry_after_s"),
    [
        ({"Retry_After": "7"}, 7.0),
        ({"Retry_After": "999999"}, 3600.0),
        ({"Retry_After": "Thu, 01 Jan 1970 00:01:00 GMT"}, None),
        ({"Retry_After": "Fri, 31 Dec 9999 23:59:59 GMT"}, 3600.0),
        ({"Retry_After": "soon"}, None),
        ({}, None),
    ],
)
def test_a_server_that_asks_for_a_rest_gets_one_within_bounds(
    serve: Serve, headers: dict[str, str], retry_after_s: float | None
) -> None:
    with pytest.raises(UnreachableError) as caught:
        fetched(serve(status(429, **headers)).url)
    assert caught.value.retry_after_s == retry_after_s


def test_a_date_to_come_back_counts_from_the_clock_of_the_server(serve: Serve) -> None:
    def answer(handler: Handler) -> None:
        handler.send_response_only(503)
        handler.send_header("Date", "Thu, 01 Jan 1970 00:00:00 GMT")
        handler.send_header("Retry-After", "Thu, 01 Jan 1970 00:01:00 GMT")
        handler.end_headers()

    with pytest.raises(UnreachableError) as caught:
        fetched(serve(answer).url)
    assert caught.value.retry_after_s == 60.0


def test_a_refused_token_is_said_to_have_expired_with_its_end(serve: Serve) -> None:
    answer = status(403, x_ms_error_code="AuthenticationFailed")
    says = "AuthenticationFailed.*may have expired.*2026-01-31T12:00:00Z"
    with pytest.raises(DeniedError, match=says):
        fetched(serve(answer).url + QUERY)


def _echo(handler: Handler) -> None:
    """Answer with all that was asked, where a server may say something."""
    handler.send_response_only(403, f"no {handler.path}")
    handler.send_header("x-ms-error-code", handler.path)
    handler.end_headers()


def _no_http(handler: Handler) -> None:
    handler.wfile.write(f"hello {handler.path}\r\n".encode())


@pytest.mark.parametrize(
    "answer",
    [
        _echo,
        _no_http,
        status(404),
        status(500),
        whole(CONTENT, len(CONTENT) + 1),
        whole(CONTENT + b"x"),
        status(302, Location=f"ftp://elsewhere/{QUERY}"),
        status(302, Location=f"http://localhost:1/b{QUERY}"),
        status(302, Location=f"http://[x/b{QUERY}"),
    ],
)
def test_the_token_is_in_no_message_and_in_no_traceback(serve: Serve, answer: Answer) -> None:
    with pytest.raises(StagingError) as caught:
        fetched(serve(answer).url + QUERY)
    error: BaseException | None = caught.value
    while error is not None:
        assert TOKEN.partition("%")[0] not in f"{error} {error!r}"
        error = None if error.__suppress_context__ else error.__context__


def test_a_redirect_on_the_same_host_is_followed_with_its_range(serve: Serve) -> None:
    def moved(handler: Handler) -> None:
        is_there = handler.path == "/there"
        (ranges(CONTENT) if is_there else status(302, Location="/there"))(handler)

    server = serve(moved)
    assert fetched(server.url + QUERY, start=START) == CONTENT[START:]
    assert server.asked[1:] == [("/there", f"bytes={START}-")]


def test_a_redirect_to_another_host_without_the_token_is_followed(serve: Serve) -> None:
    there = serve(whole(CONTENT))
    here = serve(status(302, Location=f"http://localhost:{there.port}/x?sv=2024-11-04"))
    assert fetched(here.url + QUERY) == CONTENT


@pytest.mark.parametrize("told", [f"b{QUERY}", f"{TOKEN}/b", f"b?other={TOKEN}"])
def test_a_redirect_that_takes_the_token_to_another_host_is_denied(serve: Serve, told: str) -> None:
    there = serve(whole(CONTENT))
    here = serve(status(302, Location=f"http://localhost:{there.port}/{told}"))
    with pytest.raises(DeniedError, match="access token"):
        fetched(here.url + QUERY)
    assert there.asked == []


def test_a_redirect_away_from_the_web_is_denied(serve: Serve) -> None:
    with pytest.raises(DeniedError, match="redirected"):
        fetched(serve(status(302, Location="ftp://elsewhere/b")).url)


@pytest.mark.parametrize("location", ["http://[x/b", "http://a..b/b"])
def test_a_redirect_to_a_malformed_url_is_a_typed_error(serve: Serve, location: str) -> None:
    with pytest.raises(NotFoundError, match="malformed"):
        fetched(serve(status(302, Location=location)).url)


def test_redirects_in_a_circle_come_to_an_end(serve: Serve) -> None:
    with pytest.raises(DeniedError, match="302"):
        fetched(serve(status(302, Location="/b")).url)


@pytest.mark.parametrize(
    ("limit", "says"), [("stall_s", "nothing came for 0.2 s"), ("head_s", "no complete answer")]
)
def test_a_registry_that_falls_silent_is_too_slow(serve: Serve, limit: str, says: str) -> None:
    over = threading.Event()

    def silence(_: Handler) -> None:
        over.wait(WITHIN_S)
        over.set()

    fetcher = UrlFetcher(limits=replace(FetchLimits(), **{limit: 0.2}))
    with pytest.raises(TooSlowError, match=says):
        list(fetcher.fetch(serve(silence).url, limit_bytes=1))
    assert not over.is_set()
    over.set()


def _dripping(head: bytes) -> Answer:
    def drip(handler: Handler) -> None:
        handler.wfile.write(head)
        with contextlib.suppress(OSError):
            for _ in range(500):
                handler.wfile.write(b"x")
                time.sleep(0.02)

    return drip


def test_a_head_that_drips_runs_out_of_time(serve: Serve) -> None:
    answer = _dripping(b"HTTP/1.0 200 OK\r\nx-long: ")
    with pytest.raises(TooSlowError, match="no complete answer"):
        fetched(serve(answer).url, head_s=0.3)


def test_content_that_drips_is_handed_over_and_runs_out_of_time(serve: Serve) -> None:
    """Each drop comes well within the stall limit: only the least rate can end it."""
    url = serve(_dripping(b"HTTP/1.0 200 OK\r\n\r\n")).url
    pieces = UrlFetcher(limits=FetchLimits(over_s=0.3)).fetch(url, limit_bytes=1000)
    assert len(next(pieces)) < 500, "before all of them have come"
    with pytest.raises(TooSlowError, match="less than 1000 bytes/s"):
        list(pieces)


def test_a_pause_of_ours_is_not_the_slowness_of_the_server(serve: Serve) -> None:
    is_wanted, is_there = threading.Event(), threading.Event()

    def in_two(handler: Handler) -> None:
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: 200\r\n\r\n" + b"x" * 100)
        is_wanted.wait(WITHIN_S)
        handler.wfile.write(b"x" * 100)
        is_there.set()

    pieces = UrlFetcher(limits=FetchLimits(over_s=0.4)).fetch(serve(in_two).url, limit_bytes=200)
    assert next(pieces)
    is_wanted.set()
    assert is_there.wait(WITHIN_S)
    time.sleep(0.6)
    assert b"".join(pieces)


def test_nobody_there_is_unreachable() -> None:
    with pytest.raises(UnreachableError, match="refused"):
        fetched("http://127.0.0.1:1/b")


def test_a_name_that_nobody_knows_is_unreachable() -> None:
    with pytest.raises(UnreachableError, match=r"http://no-such-host\.invalid/b"):
        fetched("http://no-such-host.invalid/b")


def test_tls_is_for_a_host_that_an_authority_of_ours_stands_for(tmp_path: Path) -> None:
    authority = create_authority(tmp_path)
    ours = ssl.create_default_context(cafile=authority.ca_file)
    tls = authority.server_context("registry", ["127.0.0.1"])
    with web_server(ranges(CONTENT), tls) as server:
        url = server.url.replace("http", "https")
        pieces = UrlFetcher(tls=ours).fetch(url, limit_bytes=len(CONTENT), start=START)
        assert b"".join(pieces) == CONTENT[START:]
        with pytest.raises(UnreachableError, match="certificate"):
            fetched(url)
        with pytest.raises(UnreachableError, match="certificate"):
            list(UrlFetcher(tls=ours).fetch(url.replace("127.0.0.1", "localhost"), limit_bytes=1))


def test_a_redirect_from_tls_to_plain_text_is_denied(tmp_path: Path, serve: Serve) -> None:
    authority = create_authority(tmp_path)
    ours = ssl.create_default_context(cafile=authority.ca_file)
    tls = authority.server_context("registry", ["127.0.0.1"])
    plain = serve(whole(CONTENT))
    with web_server(status(302, Location=plain.url), tls) as server:
        url = server.url.replace("http", "https")
        with pytest.raises(DeniedError, match="from https to 'http'"):
            list(UrlFetcher(tls=ours).fetch(url, limit_bytes=1))
    assert plain.asked == []


def test_a_server_without_tls_is_unreachable_by_https(serve: Serve) -> None:
    with pytest.raises(UnreachableError):
        fetched(serve(whole(CONTENT)).url.replace("http", "https"))


def test_a_proxy_of_the_environment_is_asked(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    proxy = serve(whole(CONTENT))
    monkeypatch.setenv("http_proxy", f"http://127.0.0.1:{proxy.port}")
    assert fetched("http://registry.invalid/b") == CONTENT
    assert proxy.asked == [("http://registry.invalid/b", None)]


def test_a_file_url_is_read_from_where_it_stopped(tmp_path: Path) -> None:
    path = tmp_path / "a b.bundle"
    path.write_bytes(CONTENT)
    assert fetched(path.as_uri()) == CONTENT
    assert fetched(path.as_uri(), start=START) == CONTENT[START:]


def test_a_file_that_is_shorter_by_now_comes_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "b"
    path.write_bytes(b"short")
    assert fetched(path.as_uri(), start=START) == b""


def test_no_such_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError):
        fetched((tmp_path / "none").as_uri())


def test_a_folder_is_denied(tmp_path: Path) -> None:
    with pytest.raises(DeniedError):
        fetched(tmp_path.as_uri())


def test_a_pipe_that_nobody_writes_to_is_denied_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(DeniedError, match="is no file"):
        fetched((tmp_path / "pipe").as_uri())


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
        "http://127.0.0.1:1/a b",
        "http://mod\u00e8les.\u2100/b",
        "file:///a%00b",
        "nonsense",
    ],
)
def test_a_malformed_url_in_a_saved_order_is_a_typed_error(url: str) -> None:
    with pytest.raises(NotFoundError, match="malformed"):
        fetched(url)
