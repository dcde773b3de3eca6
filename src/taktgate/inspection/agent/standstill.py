"""How long the line has stood. Pure.

It stands while its Enable is known to be off and no part comes: a PLC that sends parts without
Enable has a line that runs, whatever it says of it.
"""


class Standstill:
    """Measures it, looked at a few times a second."""

    def __init__(self) -> None:
        self._since_ns: int | None = None

    def part_came(self) -> None:
        """Take note of a part: the line runs."""
        self._since_ns = None

    def look(self, is_enabled: bool | None, now_ns: int) -> int | None:
        """Return for how many nanoseconds the line has stood; 0: it runs, None: nobody says.

        What was before the first look, or while *is_enabled* was not known, does not count.
        """
        if is_enabled is not False or self._since_ns is None:
            self._since_ns = None if is_enabled is None else now_ns
        return None if self._since_ns is None else now_ns - self._since_ns
