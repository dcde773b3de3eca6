"""Azure Blob Storage as the place of a registry: static files that stations read with a SAS."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final
from urllib.parse import urlsplit

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.storage.blob import ContainerClient, ContentSettings

from taktgate.registry.delivery.published import TIMESTAMP_NAME, StaticFile
from taktgate.registry.delivery.sending import Stored
from taktgate.registry.errors import (
    DeliveryError,
    DeniedError,
    ForeignError,
    NoContainerError,
    StoreError,
)

_SHA256_FIELD: Final = "sha256"
_SMALL_BYTES: Final = 1 << 20
_BLOCK_BYTES: Final = 4 << 20
"""A larger file goes in blocks of this size: a broken link costs one of them."""
_CACHING: Final = {True: "no-cache", False: "public, max-age=31536000, immutable"}
"""Only timestamp.json ever changes under its name."""
_RIGHTS: Final = "read, create, write, list"


class BlobContainer:
    """A container, by a URL with a shared access signature (SAS)."""

    def __init__(self, url: str, *, retries: int = 3, timeout_s: float = 30.0) -> None:
        """Use the container at *url*; nothing is asked yet.

        Raises:
            StoreError: the URL names no container.
        """
        parts = urlsplit(url)
        self._place = f"{parts.scheme}://{parts.netloc}{parts.path}"
        try:
            self._client = ContainerClient.from_container_url(
                url,
                connection_timeout=timeout_s,
                read_timeout=timeout_s,
                retry_total=retries,
                max_block_size=_BLOCK_BYTES,
                max_single_put_size=_BLOCK_BYTES,
            )
        except ValueError as error:
            raise StoreError(f"{self._place}: must be the URL of a container") from error
        self._etags: dict[str, str] = {}

    def inventory(self) -> Mapping[str, Stored]:
        """Return the blobs that are there, by name.

        Raises:
            DeliveryError: the store does not say.
        """
        with self._translated():
            return {
                blob.name: Stored(
                    size_bytes=blob.size, sha256=(blob.metadata or {}).get(_SHA256_FIELD)
                )
                for blob in self._client.list_blobs(include=["metadata"])
            }

    def read(self, name: str) -> bytes:
        """Return the beginning of the blob *name*, all of a small one.

        Raises:
            DeliveryError: the store does not hand it over.
        """
        with self._translated():
            stream = self._client.download_blob(name, offset=0, length=_SMALL_BYTES)
            self._etags[name] = stream.properties.etag
            content: bytes = stream.readall()
            return content

    def write(self, file: StaticFile) -> None:
        """Write the blob *file*; it appears whole. What was read before must be unchanged.

        Raises:
            ForeignError: somebody else has written it in between.
            DeliveryError: the store does not take it.
        """
        if file.place is None:
            self._upload(file, file.content)
            return
        with file.place.open("rb") as content:
            self._upload(file, content)

    def remove(self, name: str) -> None:
        """Remove the blob *name*; it may be gone already.

        Raises:
            DeliveryError: the store does not do it.
        """
        with self._translated(rights=f"{_RIGHTS}, delete"), suppress(ResourceNotFoundError):
            self._client.delete_blob(name)

    def _upload(self, file: StaticFile, content: Any) -> None:
        with self._translated():
            self._client.upload_blob(
                file.name,
                content,
                length=file.size_bytes,
                overwrite=True,
                metadata={_SHA256_FIELD: file.sha256},
                content_settings=ContentSettings(
                    content_type=_content_type(file.name),
                    cache_control=_CACHING[file.name == TIMESTAMP_NAME],
                ),
                **self._condition(file.name),
            )

    def _condition(self, name: str) -> dict[str, Any]:
        etag = self._etags.pop(name, None)
        if etag is None:
            return {}
        return {"etag": etag, "match_condition": MatchConditions.IfNotModified}

    @contextmanager
    def _translated(self, *, rights: str = _RIGHTS) -> Iterator[None]:
        """Name what the store's SDK raises. Its messages are not quoted: they may hold the SAS."""
        try:
            yield
        except HttpResponseError as error:
            raise _of_status(error, self._place, rights) from None
        except AzureError as error:
            cause = type(error.inner_exception or error).__name__
            raise StoreError(f"{self._place}: does not answer: {cause}") from None


def _of_status(error: HttpResponseError, place: str, rights: str) -> DeliveryError:
    code = getattr(error, "error_code", None) or error.reason
    message = f"{place}: {error.status_code} {getattr(code, 'value', code)}"
    if error.status_code in (401, 403):
        return DeniedError(f"{message}: the SAS has expired, is wrong, or lacks one of {rights}")
    if error.status_code == 404:
        return NoContainerError(message)
    if error.status_code == 412:
        return ForeignError(f"{message}: somebody else has written there in between")
    return StoreError(message)


def _content_type(name: str) -> str:
    return "application/json" if name.endswith(".json") else "application/octet-stream"
