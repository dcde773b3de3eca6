"""The outbox: bounded, first in first out, and nothing older than its time to live leaves it."""

from taktgate.edge.hub_outbox import Outbox


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def put(outbox: Outbox, name: str, *, ttl_s: float = 10.0) -> bool:
    return outbox.put("out", name.encode(), {}, ttl_s=ttl_s)


def taken(outbox: Outbox) -> list[str]:
    names = []
    while (message := outbox.take()) is not None:
        names.append(message.payload.decode())
    return names


def test_messages_leave_in_order() -> None:
    outbox = Outbox(10, Clock())
    for name in "abc":
        put(outbox, name)
    assert taken(outbox) == ["a", "b", "c"]


def test_expired_message_is_dropped_and_counted() -> None:
    clock = Clock()
    outbox = Outbox(10, clock)
    put(outbox, "short", ttl_s=1.0)
    put(outbox, "long")
    clock.now_s = 1.0
    assert taken(outbox) == ["long"]
    assert outbox.dropped_expired == 1


def test_full_outbox_drops_the_expired_then_refuses_the_newest() -> None:
    clock = Clock()
    outbox = Outbox(2, clock)
    put(outbox, "long")
    put(outbox, "short", ttl_s=1.0)
    assert not put(outbox, "refused")
    clock.now_s = 1.0
    assert put(outbox, "new")
    assert taken(outbox) == ["long", "new"]
    assert (outbox.refused_full, outbox.dropped_expired) == (1, 1)


def test_message_that_was_put_back_is_next_and_still_ages() -> None:
    clock = Clock()
    outbox = Outbox(10, clock)
    put(outbox, "a", ttl_s=1.0)
    put(outbox, "b")
    first = outbox.take()
    assert first is not None
    outbox.put_back(first)
    clock.now_s = 0.5
    assert taken(outbox) == ["a", "b"]
    outbox.put_back(first)
    clock.now_s = 1.5
    assert taken(outbox) == []
