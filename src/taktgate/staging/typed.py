"""An error as the cloud sees it: short enough for a twin, whatever was quoted in it."""

from typing import Final

from taktgate.bundle.errors import BundleError
from taktgate.contracts.twins import TypedError
from taktgate.staging.errors import StagingError
from taktgate.staging.states import Request

MESSAGE_BYTES: Final = 500


def typed(error: StagingError | BundleError, request: Request | None) -> TypedError:
    """Return *error*, which hindered *request*."""
    order = request.model.order if request is not None else None
    return TypedError(
        reason=error.reason[:64], message=fitted(str(error), MESSAGE_BYTES), order=order
    )


def fitted(text: str, limit_bytes: int) -> str:
    """Return *text* as one printable line of at most *limit_bytes* bytes of UTF-8."""
    line = "".join(each if each.isprintable() else " " for each in text)
    return line.encode(errors="replace")[:limit_bytes].decode(errors="ignore")
