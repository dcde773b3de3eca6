"""A CI or HIL report that a release rests on."""

import json
from dataclasses import dataclass
from typing import Final, Self

from taktgate.bundle.manifest import digest_of
from taktgate.registry.errors import ReportError

LIMIT_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report, byte for byte as it was written: its digest may be in a signed manifest.

    Attributes:
        content: A JSON object that says "passed": true.
        digest: "sha256:" and its digest.
    """

    content: bytes
    digest: str

    @classmethod
    def parse(cls, content: bytes) -> Self:
        """Return the report in *content*.

        Raises:
            ReportError: it is no JSON object, too large, or says that something failed.
        """
        if len(content) > LIMIT_BYTES:
            raise ReportError(f"report: must be at most {LIMIT_BYTES} bytes, got {len(content)}")
        try:
            document = json.loads(content)
        except (ValueError, RecursionError) as error:
            raise ReportError(f"report: must be JSON in UTF-8: {error}") from error
        if not isinstance(document, dict) or document.get("passed") is not True:
            raise ReportError('report: must be a JSON object with "passed": true')
        return cls(content=content, digest=digest_of(content))
