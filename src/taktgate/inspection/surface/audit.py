"""What changes something at this station needs the token, and each attempt leaves a line."""

import logging
from collections.abc import Awaitable
from typing import TypeVar

from pydantic import BaseModel

from taktgate.inspection.surface.errors import SurfaceError
from taktgate.inspection.surface.token import TokenGuard

log = logging.getLogger(__name__)

Answer = TypeVar("Answer", bound=BaseModel)


class Audit:
    """Lets in who has the token, and writes down who asked for what and what became of it."""

    def __init__(self, guard: TokenGuard) -> None:
        self._guard = guard

    def admit(self, what: str, authorization: str | None, client: str) -> None:
        """Return if the request may change anything.

        Raises:
            BadInputError: 401 or 403.
        """
        try:
            self._guard.admit(authorization)
        except SurfaceError as error:
            _refused(what, error, client)
            raise

    async def done(self, what: str, client: str, work: Awaitable[Answer]) -> Answer:
        """Return what *work* answers.

        Raises:
            SurfaceError: as *work* does.
        """
        try:
            answer = await work
        except SurfaceError as error:
            _refused(what, error, client)
            raise
        facts = {"client": client, "answer": answer.model_dump(mode="json")}
        log.warning("audit: %s", what, extra=facts)
        return answer


def _refused(what: str, error: SurfaceError, client: str) -> None:
    facts = {"client": client, "status": error.status, "why": str(error)[:300]}
    log.warning("audit: %s refused", what, extra=facts)
