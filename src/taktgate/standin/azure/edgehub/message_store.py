"""edgeHub's message store: a durable queue for each endpoint and priority.

Changes are collected and committed together: new messages once in each turn of the event loop, and
a sender's receipt is given after the commit that holds its message. What was delivered is deleted
within `FORGET_WITHIN_S`, many at once; a process that is killed meanwhile delivers it again.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Protocol

from taktgate.standin.azure.clock import Clock
from taktgate.standin.azure.edgehub.database import Database
from taktgate.standin.azure.edgehub.errors import StoreFullError
from taktgate.standin.azure.edgehub.message import RoutedMessage, StoredMessage
from taktgate.standin.azure.edgehub.message_queue import HEAD_MESSAGES, TTL_EXPIRY, MessageQueue

log = logging.getLogger(__name__)

STORE_LIMIT = "store_limit"
FORGET_WITHIN_S = 0.005
_EVICTED_AT_ONCE = 100
_INSERT = "INSERT INTO message VALUES (?, ?, ?, ?, ?, ?, ?)"


class Receipt(Protocol):
    """Who waits for a message to be stored."""

    def stored(self) -> None:
        """Take note that all was stored."""

    def refused(self, error: StoreFullError) -> None:
        """Take note that nothing was stored."""


class Drops(Protocol):
    """Counts the messages that are dropped."""

    def dropped(self, reason: str, message: RoutedMessage) -> None:
        """Count *message*."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A message for one queue."""

    queue: MessageQueue
    message: RoutedMessage
    ttl_s: float | None


@dataclass(slots=True, kw_only=True)
class _Turn:
    """What one turn of the event loop has collected."""

    deposits: list[tuple[list[Entry], Receipt]] = field(default_factory=list)
    forgotten: list[StoredMessage] = field(default_factory=list)


class MessageStore:
    """All queues of one edgeHub. A new object over the same database is a restart."""

    def __init__(
        self,
        database: Database,
        *,
        clock: Clock,
        drops: Drops,
        limit_bytes: int,
        is_disk_full: Callable[[], bool] = lambda: False,
    ) -> None:
        self._database = database
        self._clock = clock
        self._drops = drops
        self._is_disk_full = is_disk_full
        self.limit_bytes = limit_bytes
        """Beyond it the oldest messages are dropped."""
        self.refuses_above_bytes: int | None = None
        """Beyond it new messages are refused: `$edgeHub`'s storeLimits.maxSizeBytes."""
        self._turn = _Turn()
        self._flush_soon: asyncio.Handle | None = None
        self._flush_later: asyncio.TimerHandle | None = None
        self._is_closed = False
        ((last_seq, self._size_bytes),) = database.read(
            "SELECT coalesce(max(seq), 0), coalesce(sum(size), 0) FROM message"
        )
        self._seqs = itertools.count(last_seq + 1)
        self._queues: dict[tuple[str, int], MessageQueue] = {}
        self._by_id: dict[int, MessageQueue] = {}
        for row in database.read(
            "SELECT id, endpoint, priority, (SELECT count(*) FROM message WHERE queue = queue.id) "
            "FROM queue"
        ):
            self._add_queue(*row)

    @property
    def queues(self) -> Iterable[MessageQueue]:
        """All queues, the empty ones too."""
        return self._queues.values()

    @property
    def size_bytes(self) -> int:
        """The bytes of all stored messages."""
        return int(self._size_bytes)

    def now_s(self) -> float:
        """Return the world's date in seconds, as the stamps in the store count it."""
        return self._clock.utc().timestamp()

    def queue(self, endpoint: str, priority: int) -> MessageQueue:
        """Return the queue of *endpoint* and *priority*, a new one if there was none.

        Raises:
            StoreFullError: There is no room for a new one.
        """
        known = self._queues.get((endpoint, priority))
        if known is not None:
            return known
        values = (endpoint, priority)
        self._database.write("INSERT INTO queue (endpoint, priority) VALUES (?, ?)", values)
        ((queue_id,),) = self._database.read(
            "SELECT id FROM queue WHERE endpoint = ? AND priority = ?", values
        )
        return self._add_queue(queue_id, endpoint, priority, 0)

    def deposit(self, entries: list[Entry], receipt: Receipt) -> None:
        """Store a message in its queues with the next commit, then tell *receipt*."""
        self._turn.deposits.append((entries, receipt))
        if self._flush_soon is None and not self._is_closed:
            self._flush_soon = asyncio.get_running_loop().call_soon(self._store_new)

    def forget(self, stored: StoredMessage) -> None:
        """Delete a message, together with others of the next moments."""
        self._turn.forgotten.append(stored)
        if self._flush_later is None and not self._is_closed:
            loop = asyncio.get_running_loop()
            self._flush_later = loop.call_later(FORGET_WITHIN_S, self.flush)

    def drop(self, reason: str, stored: StoredMessage) -> None:
        """Delete a message that is not to be delivered, and count it."""
        self._drops.dropped(reason, stored.message)
        self.forget(stored)

    def flush(self) -> None:
        """Commit what was collected; each receipt then knows what became of its message."""
        self._unschedule()
        if self._is_closed:
            return
        turn, self._turn = self._turn, _Turn()
        if self._settle(turn):
            _give_receipts(turn.deposits)

    def _store_new(self) -> None:
        """Commit the new messages alone, since receipts wait for it, unless room is short."""
        self._flush_soon = None
        new_bytes = sum(
            entry.message.size_bytes for entries, _ in self._turn.deposits for entry in entries
        )
        if self._size_bytes + new_bytes > self._room_bytes():
            self.flush()
            return
        turn = _Turn(deposits=self._turn.deposits)
        self._turn.deposits = []
        if self._settle(turn):
            # Receipts follow the deliveries that have just been set going: a sender that wakes up
            # would take the processor from them.
            asyncio.get_running_loop().call_soon(_give_receipts, turn.deposits)

    def _room_bytes(self) -> int:
        if self.refuses_above_bytes is None:
            return self.limit_bytes
        return min(self.limit_bytes, self.refuses_above_bytes)

    def _settle(self, turn: _Turn) -> bool:
        """Commit *turn*; return whether it was stored."""
        placed = [
            (entry.queue, self._stamped(entry)) for entries, _ in turn.deposits for entry in entries
        ]
        rows = [_row(queue, stored) for queue, stored in placed]
        try:
            if rows:
                self._make_room(sum(row[4] for row in rows), turn)
            self._commit(rows, turn.forgotten)
        except StoreFullError as error:
            self._refuse(turn, error)
            return False
        for queue, stored in placed:
            queue.arrived(stored)
        return True

    def close(self) -> None:
        """Commit what was collected, and take nothing more."""
        self.flush()
        self._is_closed = True

    def abandon(self) -> None:
        """Lose what was collected, as the end of the process does."""
        self._unschedule()
        self._is_closed = True
        self._turn = _Turn()

    def clean_up(self, *, entire_queues: bool) -> None:
        """Delete what has expired: at the heads of the queues, or everywhere."""
        for queue in self._queues.values():
            queue.drop_expired_head()
        if entire_queues:
            self._drop_expired()

    def discard(self, queue: MessageQueue) -> None:
        """Delete a queue's messages, those in hand too; nothing is counted."""
        self.flush()
        ((size_bytes,),) = self._database.read(
            "SELECT coalesce(sum(size), 0) FROM message WHERE queue = ?", (queue.queue_id,)
        )
        self._database.write("DELETE FROM message WHERE queue = ?", (queue.queue_id,))
        self._size_bytes -= size_bytes
        queue.emptied()

    def rows_after(self, queue_id: int, priority: int, seq: int) -> list[StoredMessage]:
        """Return the next `HEAD_MESSAGES` of a queue from the disk."""
        rows = self._database.read(
            "SELECT seq, stored_at, expires_at, head, payload FROM message "
            "WHERE queue = ? AND seq > ? ORDER BY seq LIMIT ?",
            (queue_id, seq, HEAD_MESSAGES),
        )
        return [_stored(row, priority) for row in rows]

    def _add_queue(self, queue_id: int, endpoint: str, priority: int, length: int) -> MessageQueue:
        queue = MessageQueue(
            self, queue_id=queue_id, endpoint=endpoint, priority=priority, length=length
        )
        self._queues[endpoint, priority] = self._by_id[queue_id] = queue
        return queue

    def _unschedule(self) -> None:
        for handle in (self._flush_soon, self._flush_later):
            if handle is not None:
                handle.cancel()
        self._flush_soon = self._flush_later = None

    def _stamped(self, entry: Entry) -> StoredMessage:
        now_s = self.now_s()
        return StoredMessage(
            seq=next(self._seqs),
            message=entry.message,
            priority=entry.queue.priority,
            stored_at_s=now_s,
            expires_at_s=None if entry.ttl_s is None else now_s + entry.ttl_s,
        )

    def _commit(self, rows: list[tuple[Any, ...]], forgotten: list[StoredMessage]) -> None:
        if not rows and not forgotten:
            return
        if len(rows) == 1 and not forgotten:
            self._database.write(_INSERT, rows[0])
        else:
            with self._database.transaction() as connection:
                connection.executemany(_INSERT, rows)
                seqs = [(each.seq,) for each in forgotten]
                connection.executemany("DELETE FROM message WHERE seq = ?", seqs)
        self._size_bytes += sum(row[4] for row in rows)
        self._size_bytes -= sum(each.message.size_bytes for each in forgotten)

    def _refuse(self, turn: _Turn, error: StoreFullError) -> None:
        log.error("edgeHub cannot store a message", extra={"reason": str(error)})
        try:
            self._commit([], turn.forgotten)
        except StoreFullError:
            # They go with the next commit that has room; until then a restart delivers them again.
            self._turn.forgotten[:0] = turn.forgotten
        for _, receipt in turn.deposits:
            receipt.refused(error)

    def _make_room(self, needed_bytes: int, turn: _Turn) -> None:
        """Raises StoreFullError: the disk is full, or a limit cannot be kept."""
        if self._is_disk_full():
            raise StoreFullError("edgeHub's store: database or disk is full")
        after_bytes = self._size_bytes + needed_bytes
        if self.refuses_above_bytes is not None and after_bytes > self.refuses_above_bytes:
            raise StoreFullError(
                f"store of {after_bytes} bytes; rule: storeLimits.maxSizeBytes "
                f"{self.refuses_above_bytes}"
            )
        if after_bytes > self.limit_bytes:
            self._commit([], turn.forgotten)
            turn.forgotten.clear()
            self._drop_expired()
            self._drop_oldest(self.limit_bytes - needed_bytes)

    def _drop_expired(self) -> None:
        rows = self._database.read(
            "SELECT queue, seq, stored_at, expires_at, head, payload FROM message "
            "WHERE expires_at <= ? ORDER BY seq",
            (self.now_s(),),
        )
        self._evict(TTL_EXPIRY, rows)

    def _drop_oldest(self, down_to_bytes: int) -> None:
        """Raises StoreFullError: what is in hand alone is too much."""
        after_seq = 0
        while self._size_bytes > down_to_bytes:
            rows = self._database.read(
                "SELECT queue, seq, stored_at, expires_at, head, payload, size FROM message "
                "WHERE seq > ? ORDER BY seq LIMIT ?",
                (after_seq, _EVICTED_AT_ONCE),
            )
            if not rows:
                raise StoreFullError(f"edgeHub's store; rule: {self.limit_bytes} bytes in all")
            excess_bytes = self._size_bytes - down_to_bytes
            before = itertools.accumulate((row[-1] for row in rows[:-1]), initial=0)
            pairs = zip(rows, before, strict=True)
            chosen = [row[:-1] for row, freed_bytes in pairs if freed_bytes < excess_bytes]
            after_seq = chosen[-1][1]
            self._evict(STORE_LIMIT, chosen)

    def _evict(self, reason: str, rows: list[Any]) -> None:
        """Delete rows that are neither in hand nor forgotten already."""
        by_queue: dict[MessageQueue, list[StoredMessage]] = {}
        forgotten = {each.seq for each in self._turn.forgotten}
        for queue_id, *row in rows:
            queue = self._by_id[queue_id]
            stored = _stored(row, queue.priority)
            if stored.seq not in queue.in_hand and stored.seq not in forgotten:
                by_queue.setdefault(queue, []).append(stored)
        self._commit([], [each for gone in by_queue.values() for each in gone])
        for queue, gone in by_queue.items():
            queue.evicted({each.seq for each in gone})
            for stored in gone:
                self._drops.dropped(reason, stored.message)


def _give_receipts(deposits: list[tuple[list[Entry], Receipt]]) -> None:
    for _, receipt in deposits:
        receipt.stored()


def _row(queue: MessageQueue, stored: StoredMessage) -> tuple[Any, ...]:
    message = stored.message
    return (
        stored.seq,
        queue.queue_id,
        stored.stored_at_s,
        stored.expires_at_s,
        message.size_bytes,
        message.head_to_json(),
        message.payload,
    )


def _stored(row: Any, priority: int) -> StoredMessage:
    seq, stored_at_s, expires_at_s, head, payload = row
    return StoredMessage(
        seq=seq,
        message=RoutedMessage.from_row(head, payload),
        priority=priority,
        stored_at_s=stored_at_s,
        expires_at_s=expires_at_s,
    )
