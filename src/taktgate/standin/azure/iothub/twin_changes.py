"""What a request wants to write into a twin, checked before anything is written.

A PATCH merges, and a null deletes; a PUT replaces, and holds no null
(learn.microsoft.com/azure/iot-hub/iot-hub-devguide-device-twins, "Back-end operations"). The
device hears of both as a patch.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from taktgate.standin.azure import twin_documents
from taktgate.standin.azure.errors import HubRequestError, TwinLimitError
from taktgate.standin.azure.iothub import twin_limits
from taktgate.standin.azure.iothub.bodies import TwinBody
from taktgate.standin.azure.iothub.identities import SYSTEM_MODULES, Identity
from taktgate.standin.azure.json_types import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinChange:
    """What a request wants to write into a twin; None leaves a section alone."""

    tags: JsonObject | None = None
    desired: JsonObject | None = None


def change_of(identity: Identity, body: TwinBody, *, replaces: bool) -> TwinChange:
    """Return the patches that a request means, checked.

    Raises:
        HubRequestError: 400, a limit is broken.
    """
    tags = body.tags
    desired = body.properties.desired if body.properties else None
    if desired is not None:
        desired = {k: v for k, v in desired.items() if k not in ("$version", "$metadata")}
    if replaces:
        tags, desired = tags or {}, desired or {}
    patch = _replacement if replaces else _patch
    has_free_keys = identity.module_id in SYSTEM_MODULES
    with limits_answered():
        return TwinChange(
            tags=patch(tags, identity.tags, "tags", has_free_keys),
            desired=patch(desired, identity.desired, "properties.desired", has_free_keys),
        )


def _patch(
    given: JsonObject | None, current: JsonObject, section: str, has_free_keys: bool
) -> JsonObject | None:
    if not given:
        return None
    twin_limits.check_patch(given, section, has_free_keys=has_free_keys)
    twin_limits.check_size(twin_documents.merge(current, given), section)
    return given


def _replacement(
    given: JsonObject | None, current: JsonObject, section: str, has_free_keys: bool
) -> JsonObject | None:
    whole = given or {}
    twin_limits.check_patch(whole, section, has_free_keys=has_free_keys)
    _refuse_nulls(whole, section)
    twin_limits.check_size(whole, section)
    return twin_documents.difference(current, whole) or None


@contextmanager
def limits_answered() -> Iterator[None]:
    """Answer a broken limit with 400.

    Raises:
        HubRequestError: 400.
    """
    try:
        yield
    except TwinLimitError as error:
        raise HubRequestError(400, "ArgumentInvalid", str(error)) from error


def _refuse_nulls(value: JsonObject, path: str) -> None:
    for name, nested in value.items():
        if nested is None:
            raise TwinLimitError(f"{path}.{name}; rule: no null in a whole document")
        if isinstance(nested, dict):
            _refuse_nulls(nested, f"{path}.{name}")
