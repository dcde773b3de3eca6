"""edgeHub's database: one SQLite file for messages, sessions and twins.

It is safe against the end of the process at any moment, and never torn by a power cut, which may
cost the last moments only: WAL with synchronous=NORMAL syncs at checkpoints, not at each commit.
edgeHub's RocksDB is the same: its writes go to a log that is not synced each time
(WriteOptions.sync is false by default, and Azure/iotedge edge-util/src/
Microsoft.Azure.Devices.Edge.Storage.RocksDb sets no other).
"""

import contextlib
import sqlite3
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from taktgate.standin.azure.edgehub.errors import StoreFullError

IN_MEMORY = ":memory:"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS queue (
    id INTEGER PRIMARY KEY, endpoint TEXT NOT NULL, priority INTEGER NOT NULL,
    UNIQUE (endpoint, priority));
CREATE TABLE IF NOT EXISTS message (
    seq INTEGER PRIMARY KEY, queue INTEGER NOT NULL, stored_at REAL NOT NULL, expires_at REAL,
    size INTEGER NOT NULL, head TEXT NOT NULL, payload BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS message_by_queue ON message (queue, seq);
CREATE TABLE IF NOT EXISTS subscription (
    module TEXT NOT NULL, filter TEXT NOT NULL, PRIMARY KEY (module, filter)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS twin (module TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
"""


class Database:
    """A connection that opens when it is first used; `close` and use again is a restart."""

    def __init__(self, file: Path | None = None, *, page_limit: int | None = None) -> None:
        """Prepare a database.

        Args:
            file: Where it is; without one it is in memory and lives as long as this object.
            page_limit: The most pages (of 4096 bytes) that it may have: a small disk.
        """
        self._file = file
        self._page_limit = page_limit
        self._open: sqlite3.Connection | None = None
        self._finalizer: weakref.finalize[..., Any] | None = None

    def read(self, statement: str, parameters: Iterable[Any] = ()) -> list[Any]:
        """Return the rows of a query."""
        return self._connection.execute(statement, tuple(parameters)).fetchall()

    def write(self, statement: str, parameters: Iterable[Any] = ()) -> None:
        """Make one change, kept when this returns: a statement is a transaction of its own.

        Raises:
            StoreFullError: There is no room for it; nothing was changed.
        """
        try:
            self._connection.execute(statement, tuple(parameters))
        except sqlite3.OperationalError as error:
            raise StoreFullError(f"edgeHub's store: {error}") from error

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Make all of the block's changes or none.

        Raises:
            StoreFullError: There is no room for them; nothing was changed.
        """
        connection = self._connection
        try:
            connection.execute("BEGIN")
            yield connection
            connection.execute("COMMIT")
        except sqlite3.OperationalError as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise StoreFullError(f"edgeHub's store: {error}") from error
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise

    def close(self) -> None:
        """Close the file; a database in memory stays."""
        if self._file is not None and self._finalizer is not None:
            self._finalizer()
            self._finalizer = self._open = None

    def abandon(self) -> None:
        """Leave the file as the end of the process would: nothing is closed in order."""
        if self._file is not None:
            self._open = None

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._open is None:
            self._open = self._opened()
            self._finalizer = weakref.finalize(self, self._open.close)
        return self._open

    def _opened(self) -> sqlite3.Connection:
        if self._file is not None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
        # The finalizer may run on another thread; all else stays on the event loop's.
        connection = sqlite3.connect(
            self._file or IN_MEMORY, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.executescript(_SCHEMA)
        if self._page_limit is not None:
            connection.execute(f"PRAGMA max_page_count = {self._page_limit:d}")
        return connection
