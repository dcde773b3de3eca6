"""The subscriptions of clean_session=0, kept over restarts as edgeHub keeps its sessions."""

from collections.abc import Collection

from taktgate.standin.azure.edgehub.database import Database


class StoredSubscriptions:
    """Topic filters by module."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load(self, module: str) -> set[str]:
        """Return the topic filters of *module*."""
        rows = self._database.read("SELECT filter FROM subscription WHERE module = ?", (module,))
        return {row[0] for row in rows}

    def save(self, module: str, filters: Collection[str]) -> None:
        """Keep the topic filters of *module*; none forgets its session.

        Raises:
            StoreFullError: There is no room for them; the older ones are kept.
        """
        with self._database.transaction() as connection:
            connection.execute("DELETE FROM subscription WHERE module = ?", (module,))
            rows = [(module, each) for each in filters]
            connection.executemany("INSERT INTO subscription VALUES (?, ?)", rows)
