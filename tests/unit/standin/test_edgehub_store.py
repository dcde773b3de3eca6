"""edgeHub's message store: durable, in order, bounded; the time to live is checked when read."""

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.standin.edgehub_bench import Receipt, StoreBench, message, names

from taktgate.standin.azure import simulated_time
from taktgate.standin.azure.edgehub.database import Database
from taktgate.standin.azure.edgehub.message_queue import HEAD_MESSAGES
from taktgate.standin.azure.edgehub.message_store import Entry
from taktgate.standin.azure.edgehub.pump import BatchReader

STORE = "Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Edge.Hub.Core/storage/"
READER = (
    "Azure/iotedge edge-hub/core/src/Microsoft.Azure.Devices.Routing.Core/endpoints/"
    "StoringAsyncEndpointExecutor.cs"
)


def in_loop(test: Callable[[StoreBench], None], bench: StoreBench | None = None) -> None:
    """Run *test* where commits can be scheduled."""

    async def main() -> None:
        test(bench or StoreBench())

    simulated_time.run(main())


@pytest.mark.azure(
    "edgeHub",
    "A message that was acknowledged survives the sudden end of edgeHub's process",
    source="learn.microsoft.com/azure/iot-edge/offline-capabilities",
)
def test_acknowledged_message_survives_a_killed_process(tmp_path: Path) -> None:
    def test(bench: StoreBench) -> None:
        assert bench.put("1", "2").is_stored
        bench.die_and_come_back()
        assert names(bench.queue().read(10)) == ["1", "2"]

    in_loop(test, StoreBench(Database(tmp_path / "edgehub.db")))


def test_message_without_receipt_may_be_gone_with_the_process(tmp_path: Path) -> None:
    def test(bench: StoreBench) -> None:
        receipt = Receipt()
        entry = Entry(queue=bench.queue(), message=message("1"), ttl_s=None)
        bench.store.deposit([entry], receipt)
        bench.die_and_come_back()
        assert (receipt.is_stored, len(bench.queue())) == (None, 0)

    in_loop(test, StoreBench(Database(tmp_path / "edgehub.db")))


def test_delivered_message_does_not_come_again_after_a_restart(tmp_path: Path) -> None:
    def test(bench: StoreBench) -> None:
        bench.put("1", "2")
        queue = bench.queue()
        queue.forget(queue.read(1)[0])
        bench.store.close()
        bench.die_and_come_back()
        assert names(bench.queue().read(10)) == ["2"]

    in_loop(test, StoreBench(Database(tmp_path / "edgehub.db")))


def test_message_in_hand_comes_again_after_a_restart(tmp_path: Path) -> None:
    def test(bench: StoreBench) -> None:
        bench.put("1", "2")
        bench.queue().read(1)
        bench.die_and_come_back()
        assert names(bench.queue().read(10)) == ["1", "2"]

    in_loop(test, StoreBench(Database(tmp_path / "edgehub.db")))


@pytest.mark.azure(
    "edgeHub",
    "A message's time to live is checked when it is read from the store, and never after",
    source=f"{STORE}MessageStore.cs",
)
def test_message_that_was_read_in_time_never_expires() -> None:
    def test(bench: StoreBench) -> None:
        bench.put("read", "left", ttl_s=10)
        batch = bench.queue().read(1)
        bench.advance(10)
        assert (names(batch), bench.queue().read(10)) == (["read"], [])
        assert bench.drops.seen == [("ttl_expiry", "left")]

    in_loop(test)


@pytest.mark.azure(
    "edgeHub",
    "The next batch is read while one is being sent, so its messages outlive their time to live",
    source=READER,
)
def test_batch_that_was_read_ahead_is_handed_out_after_its_time() -> None:
    def test(bench: StoreBench) -> None:
        bench.put(*"abcdef", ttl_s=10)
        reader = BatchReader(bench.queue(), 2)
        assert names(reader.next_batch()) == ["a", "b"]
        bench.advance(10)
        assert names(reader.next_batch()) == ["c", "d"]
        assert reader.next_batch() == []

    in_loop(test)


@pytest.mark.azure(
    "edgeHub",
    "Once the queue was found empty, batches are read when they are sent and no earlier",
    source=READER,
)
def test_reader_that_found_nothing_ahead_reads_each_batch_when_it_is_wanted() -> None:
    def test(bench: StoreBench) -> None:
        reader = BatchReader(bench.queue(), 2)
        bench.put(*"abcd", ttl_s=10)
        assert names(reader.next_batch()) == ["a", "b"]
        bench.advance(10)
        assert reader.next_batch() == []

    in_loop(test)


def test_queue_longer_than_memory_keeps_its_order() -> None:
    def test(bench: StoreBench) -> None:
        wanted = [str(number) for number in range(3 * HEAD_MESSAGES)]
        bench.put(*wanted[:-1])
        queue = bench.queue()
        seen = names(queue.read(10))
        bench.put(wanted[-1])
        while batch := queue.read(50):
            seen += names(batch)
        assert seen == wanted

    in_loop(test)


def test_full_store_drops_the_expired_then_the_oldest() -> None:
    def test(bench: StoreBench) -> None:
        bench.put("gone".ljust(40, "."), ttl_s=1)
        bench.put("oldest".ljust(40, "."), "younger".ljust(20, "."))
        bench.advance(1)
        bench.put("x" * 40)
        assert [(reason, body.rstrip(".")) for reason, body in bench.drops.seen] == [
            ("ttl_expiry", "gone")
        ]
        bench.put("y" * 40)
        assert bench.drops.seen[-1] == ("store_limit", "oldest".ljust(40, "."))
        assert names(bench.queue().read(9)) == ["younger".ljust(20, "."), "x" * 40, "y" * 40]
        assert bench.store.size_bytes == 100

    in_loop(test, StoreBench(limit_bytes=100))


def test_full_store_spares_what_is_being_delivered() -> None:
    def test(bench: StoreBench) -> None:
        bench.put("a" * 60, "b" * 40)
        in_hand = bench.queue().read(1)
        assert bench.put("c" * 40).is_stored
        assert names(in_hand + bench.queue().read(9)) == ["a" * 60, "c" * 40]
        assert not bench.put("d" * 101).is_stored

    in_loop(test, StoreBench(limit_bytes=100))


@pytest.mark.azure(
    "edgeHub",
    "Beyond storeLimits.maxSizeBytes new messages are refused, and what is stored stays",
    source="Azure/iotedge doc/HowToConfigureDBStoreLimits.md",
)
def test_store_limit_of_the_configuration_refuses_new_messages() -> None:
    def test(bench: StoreBench) -> None:
        bench.store.refuses_above_bytes = 10
        bench.put("12345678")
        receipt = bench.put("abc")
        assert receipt.is_stored is False
        assert "storeLimits.maxSizeBytes 10" in str(receipt.error)
        assert names(bench.queue().read(9)) == ["12345678"]

    in_loop(test)


def test_disk_that_is_really_full_refuses_and_changes_nothing(tmp_path: Path) -> None:
    def test(bench: StoreBench) -> None:
        queue = bench.queue()
        stored = 0
        while bench.put("x" * 3000).is_stored:
            stored += 1
            assert stored < 100
        receipt = bench.put("x" * 3000)
        assert "full" in str(receipt.error)
        assert (len(queue), bench.store.size_bytes) == (stored, stored * 3000)
        queue.forget(queue.read(1)[0])
        bench.store.flush()
        assert bench.put("small").is_stored

    in_loop(test, StoreBench(Database(tmp_path / "edgehub.db", page_limit=40)))


def test_clean_up_frees_the_head_and_the_entire_queue_when_told() -> None:
    def test(bench: StoreBench) -> None:
        bench.put("1", ttl_s=1)
        bench.put("2")
        bench.put("3", ttl_s=1)
        bench.advance(2)
        bench.store.clean_up(entire_queues=False)
        assert bench.drops.seen == [("ttl_expiry", "1")]
        bench.store.clean_up(entire_queues=True)
        assert bench.drops.seen[1:] == [("ttl_expiry", "3")]
        assert names(bench.queue().read(9)) == ["2"]

    in_loop(test)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.integers(1, 5), st.sampled_from([None, 5, 50])),
        st.tuples(st.just("read"), st.integers(1, 7), st.none()),
        st.tuples(st.just("forget"), st.integers(0, 3), st.none()),
        st.tuples(st.just("wait"), st.integers(1, 20), st.none()),
        st.tuples(st.just("die"), st.just(0), st.none()),
        st.tuples(st.just("clean"), st.just(0), st.none()),
    ),
    max_size=30,
)


class ModelQueue:
    """What a queue should do, as a list; it moves together with the real one."""

    def __init__(self, bench: StoreBench) -> None:
        self._bench = bench
        self._names = itertools.count()
        self.waiting: list[tuple[str, float | None]] = []
        self.in_hand: list[tuple[str, float | None]] = []
        self.now_s = 0.0

    def put(self, count: int, ttl_s: float | None) -> None:
        new = [str(next(self._names)) for _ in range(count)]
        self._bench.put(*new, ttl_s=ttl_s)
        expires_s = None if ttl_s is None else self.now_s + ttl_s
        self.waiting += [(name, expires_s) for name in new]

    def read(self, limit: int, _: object) -> None:
        taken: list[tuple[str, float | None]] = []
        while len(taken) < limit and self.waiting:
            name, expires_s = self.waiting.pop(0)
            if expires_s is None or expires_s > self.now_s:
                taken.append((name, expires_s))
        self.in_hand += taken
        assert names(self._bench.queue().read(limit)) == [name for name, _ in taken]

    def forget(self, count: int, _: object) -> None:
        queue = self._bench.queue()
        for stored in list(queue.in_hand.values())[:count]:
            queue.forget(stored)
        del self.in_hand[:count]

    def wait(self, seconds: int, _: object) -> None:
        self._bench.advance(seconds)
        self.now_s += seconds

    def clean(self, _count: int, _: object) -> None:
        self._bench.store.clean_up(entire_queues=True)
        self.waiting = [(n, e) for n, e in self.waiting if e is None or e > self.now_s]

    def die(self, _count: int, _: object) -> None:
        self._bench.die_and_come_back()
        self.waiting = self.in_hand + self.waiting
        self.in_hand = []


@given(STEPS)
def test_queue_does_what_a_list_would(steps: list[tuple[str, int, float | None]]) -> None:
    def test(bench: StoreBench) -> None:
        model = ModelQueue(bench)
        for step, count, ttl_s in steps:
            getattr(model, step)(count, ttl_s)
            bench.store.flush()
            assert len(bench.queue()) == len(model.waiting) + len(model.in_hand)

    in_loop(test)
