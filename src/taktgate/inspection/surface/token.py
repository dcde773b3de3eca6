"""Who may order a model by HTTP: whoever knows the token in the file that the deployment mounts."""

import hmac
from pathlib import Path
from typing import Final

from taktgate.inspection.surface.errors import BadInputError

MIN_TOKEN: Final = 16
_MAX_FILE_BYTES: Final = 4096
SCHEME: Final = "Bearer"


class TokenGuard:
    """Compares a request's token with the file's. The file is read each time: it may be rotated."""

    def __init__(self, path: Path | None) -> None:
        self._path = path

    def admit(self, authorization: str | None) -> None:
        """Return if *authorization*, the header of that name, carries the token.

        Raises:
            BadInputError: 403 when this station has no usable token, so that nobody may; 401 when
                the request has none or another one.
        """
        token = self._token()
        if token is None:
            rule = f"no control token of {MIN_TOKEN} or more characters is configured: nobody may"
            raise BadInputError(rule, status=403)
        scheme, _, given = (authorization or "").partition(" ")
        # Bytes, since compare_digest takes no text beyond ASCII; and in constant time.
        is_same = hmac.compare_digest(given.strip().encode("utf-8", "replace"), token)
        if scheme.lower() != SCHEME.lower() or not is_same:
            raise BadInputError(
                "must be `Bearer <control token>`", field="Authorization", status=401
            )

    def _token(self) -> bytes | None:
        if self._path is None:
            return None
        try:
            with self._path.open("rb") as file:
                token = file.read(_MAX_FILE_BYTES).strip()
        except OSError:
            return None
        return token if len(token) >= MIN_TOKEN else None
