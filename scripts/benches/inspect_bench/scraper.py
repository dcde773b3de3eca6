"""The process that scrapes the metrics each second, as a Prometheus would."""

import sys
import time
import urllib.error
import urllib.request
from threading import Thread
from typing import Final

from benches.hub_bench.process import serve

PERIOD_S: Final = 1.0
_LIMIT_S: Final = 5.0


class Scraper:
    """Scrapes in a thread: questions come in another."""

    def __init__(self) -> None:
        self._url = ""
        self._scrapes = self._size_bytes = 0

    def open(self, url: str) -> None:
        """Say what to scrape."""
        self._url = url

    def begin(self) -> None:
        """Go."""
        Thread(target=self._scrape_for_ever, daemon=True).start()

    def done(self) -> tuple[int, int]:
        """Return how often it was scraped, and how many bytes the last page had."""
        return self._scrapes, self._size_bytes

    def _scrape_for_ever(self) -> None:
        due_s = time.monotonic()
        while True:
            try:
                with urllib.request.urlopen(self._url, timeout=_LIMIT_S) as page:  # noqa: S310 - http on loopback
                    self._size_bytes = len(page.read())
                self._scrapes += 1
            except urllib.error.URLError:
                pass  # a scrape that failed is not counted
            due_s += PERIOD_S
            time.sleep(max(0.0, due_s - time.monotonic()))


if __name__ == "__main__":
    serve(Scraper())
    sys.exit(0)
