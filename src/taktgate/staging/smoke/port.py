"""What the stager asks of a smoke test."""

from collections.abc import Callable
from typing import Protocol

from taktgate.bundle.verification import VerifiedBundle


class SmokeTest(Protocol):
    """Runs a verified model once, where it can do no harm."""

    def run(self, bundle: VerifiedBundle, check: Callable[[], None]) -> None:
        """Return once the model of *bundle* has run as its manifest says.

        Args:
            bundle: what is to be tested; it lies on this machine's disk, verified.
            check: called at least twice a second while the test runs; what it raises ends the test
                and goes on to the caller.

        Raises:
            SmokeError: the model does not run as it should.
            RetriedError: the fault is on our side, and says nothing about the model.
        """
