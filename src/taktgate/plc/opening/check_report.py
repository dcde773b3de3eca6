"""What a full check of a controller found: one JSON document from the check to the writer."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from taktgate.contracts.codec import STRICT_DOCUMENT
from taktgate.plc.contract.verified import VerifiedContract


class Finding(StrEnum):
    """How a check ended."""

    VERIFIED = "verified"
    MISMATCH = "mismatch"
    """Its tags are others than ours: a person has to change them."""
    FOREIGN = "foreign"
    """What answers there is no controller of ours: a person has to change the address."""
    REFUSED = "refused"
    """Nobody answered, the session was refused, or the answer could not be trusted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """A `VerifiedContract` as it travels; the table version in hexadecimal."""

    __pydantic_config__ = STRICT_DOCUMENT

    address: str
    profile: str
    serial: Annotated[int, Field(ge=0, lt=2**32)]
    product_name: str
    table_version: Annotated[str, Field(pattern=r"^([0-9a-f]{2})*$")]
    handles: dict[str, Annotated[int, Field(ge=0, lt=2**16)]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckReport:
    """The finding; `verified` is there with VERIFIED only, `words` say why with any other."""

    __pydantic_config__ = STRICT_DOCUMENT

    finding: Finding
    host: str = ""
    """The numeric address behind the host's name, as far as it was found."""
    words: str = ""
    verified: Verified | None = field(default=None)

    @property
    def contract(self) -> VerifiedContract | None:
        """Return what a session may rely on, or None."""
        found = self.verified
        if found is None or self.finding is not Finding.VERIFIED:
            return None
        return VerifiedContract(
            address=found.address,
            profile=found.profile,
            serial=found.serial,
            product_name=found.product_name,
            table_version=bytes.fromhex(found.table_version),
            handles=found.handles,
        )
