"""All limits of the surface: what it holds at once, and how long it waits."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Each of them protects the agent, in whose process the surface lives."""

    infer_bytes: int = 24 * 1024 * 1024
    """The article's 512 x 512 tensor has up to 16 MB with all its digits."""
    order_bytes: int = 4 * 1024
    head_bytes: int = 16 * 1024
    body_s: float = 10.0
    """A body must be complete within this time after its head: else 408."""
    request_s: float = 15.0
    """A request must be complete within this time after its first byte, or after the connection
    was made: else the connection is closed, whatever the request has come to."""
    keep_alive_s: int = 5
    """A connection without a request is closed after this time."""
    reply_s: float = 20.0
    """For `/infer` as a whole: reading, waiting, starting the infer service's runner, the run."""
    order_s: float = 5.0
    """The agent's loop takes an order within a quarter of a second."""
    bodies: int = 4
    """Requests to `/infer` whose bodies may be in memory at once: else 429."""
    waiting: int = 4
    """Questions that may wait for the service: else 429."""
    concurrency: int = 32
    """Requests at once; uvicorn answers the next one with 503."""
    connections: int = 64
    """Each takes a file descriptor of the agent, which needs some itself; the next one is closed
    at once."""
    idle_end_s: float = 300.0
    """The infer service ends its processes when nobody has asked for so long."""
