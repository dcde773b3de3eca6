"""The feed of what reached the hub: numbered, bounded, waited for."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest

from taktgate.standin.azure.clock import ManualClock
from taktgate.standin.azure.device_link import Telemetry
from taktgate.standin.azure.world.feed import KEPT, LARGEST_PAGE, FeedPage, TelemetryFeed
from taktgate.standin.azure.world.screen import feed_line

T = TypeVar("T")


def telemetry(payload: bytes = b"{}") -> Telemetry:
    return Telemetry(
        device="d", module="m", output="out", payload=payload, properties={"k": "v"}, system={}
    )


def feed_of(count: int) -> TelemetryFeed:
    feed = TelemetryFeed(ManualClock())
    for number in range(1, count + 1):
        feed.take(telemetry(b"%d" % number))
    return feed


def run(job: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(job)


def bodies(page: FeedPage) -> list[Any]:
    return [message.body for message in page.messages]


def test_pages_follow_each_other_without_a_gap() -> None:
    feed = feed_of(LARGEST_PAGE + 2)
    first = run(feed.read(0, 0))
    second = run(feed.read(first.last, 0))
    assert bodies(first) + bodies(second) == list(range(1, LARGEST_PAGE + 3))
    assert (first.messages[0].number, second.last) == (1, LARGEST_PAGE + 2)


def test_what_is_no_longer_kept_is_counted() -> None:
    page = run(feed_of(KEPT + 7).read(2, 0))
    assert (page.lost, page.messages[0].number) == (5, 8)


def test_number_from_the_future_waits_for_what_comes() -> None:
    assert run(feed_of(2).read(10, 0)) == FeedPage(messages=(), last=2, lost=0)


def test_reader_is_woken_by_the_next_message() -> None:
    async def story() -> FeedPage:
        feed = feed_of(1)
        reading = asyncio.create_task(feed.read(1, 30))
        await asyncio.sleep(0)
        feed.take(telemetry(b"2"))
        return await asyncio.wait_for(reading, 5)

    assert bodies(run(story())) == [2]


def test_reader_that_waited_in_vain_gets_an_empty_page() -> None:
    assert run(feed_of(1).read(1, 0.01)).messages == ()


@pytest.mark.parametrize(
    ("payload", "body", "encoding"),
    [
        (b'{"a": 1}', {"a": 1}, "json"),
        (b"plain", "plain", "text"),
        (b"\xff\x00", "/wA=", "base64"),
        (b"[" * 100_000, "[" * 100_000, "text"),
    ],
    ids=["json", "text", "bytes", "deep"],
)
def test_body_is_shown_as_what_it_is(payload: bytes, body: Any, encoding: str) -> None:
    feed = TelemetryFeed(ManualClock())
    feed.take(telemetry(payload))
    (message,) = run(feed.read(0, 0)).messages
    assert (message.body, message.encoding) == (body, encoding)


def test_message_is_one_line_on_the_screen() -> None:
    feed = TelemetryFeed(ManualClock())
    feed.take(telemetry(b'{"a": "x\\ny"}'))
    (message,) = run(feed.read(0, 0)).messages
    assert feed_line(message) == '00:00:00  d/m  out  {"a":"x\\ny"}  k=v'
