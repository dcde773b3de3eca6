"""What has changed in the registry goes into the store before it is answered."""

import logging

from taktgate.standin.azure.errors import HubRequestError, HubStoreError
from taktgate.standin.azure.iothub.registry import Registry
from taktgate.standin.azure.iothub.store import HubStore

log = logging.getLogger(__name__)


def commit(registry: Registry, store: HubStore | None) -> None:
    """Write the changes since the last time; without a store they are only forgotten.

    Raises:
        HubRequestError: 500, there is no room. Nothing is lost: they stay in the registry and go
            into the store with the next change that finds room.
    """
    changed, removed = registry.take_changes()
    if store is None or not (changed or removed):
        return
    rows = (
        (each, None if each.module_id else registry.device(each.device_id).targets)
        for each in changed.values()
    )
    try:
        store.save(changed=rows, removed=removed)
    except HubStoreError as error:
        registry.put_changes_back(changed, removed)
        log.error("hub cannot store a change", extra={"reason": str(error)})
        raise HubRequestError(500, "ServerError", "The change could not be stored") from error
