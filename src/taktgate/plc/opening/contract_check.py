"""The full check of a controller: who it is, and whether its tags are those of the contract."""

import logging
import socket
from collections.abc import Mapping
from typing import Final

from taktgate.plc.contract.packet_size import verdicts_per_packet
from taktgate.plc.contract.tag_check import check_tags
from taktgate.plc.contract.tags import Udt
from taktgate.plc.contract.wire import Profile
from taktgate.plc.errors import (
    ContractMismatchError,
    ForeignControllerError,
    LinkError,
)
from taktgate.plc.link.address import ControllerAddress, parse_address
from taktgate.plc.link.upload import Upload, upload
from taktgate.plc.opening.check_report import CheckReport, Finding, Verified

log = logging.getLogger(__name__)

VENDOR: Final = "Rockwell Automation/Allen-Bradley"
"""Vendor 1. That it is a controller (product type 14) the upload itself demands."""
_FINDINGS: Final = (
    (ContractMismatchError, Finding.MISMATCH),
    (ForeignControllerError, Finding.FOREIGN),
    (LinkError, Finding.REFUSED),
)


def check_controller(address: str, profile: Profile) -> CheckReport:
    """Return what was found at *address*; takes up to seconds, and writes nothing."""
    where = parse_address(address)
    try:
        host = resolve(where)
    except (OSError, UnicodeError) as error:  # the latter: no name could ever be spelled so
        words = f"{where.host}: {getattr(error, 'strerror', None) or error}"
        return CheckReport(finding=Finding.REFUSED, words=words)
    try:
        found = upload(where.at(host))
        facts = {"identity": str(found.identity), "keyswitch": found.keyswitch}
        log.info("controller identified", extra=facts)
        verified = verify(address, profile, found)
    except LinkError as error:
        finding = next(finding for kind, finding in _FINDINGS if isinstance(error, kind))
        return CheckReport(finding=finding, host=host, words=str(error))
    return CheckReport(finding=Finding.VERIFIED, host=host, verified=verified)


def resolve(where: ControllerAddress) -> str:
    """Return the IPv4 address of the host.

    Raises:
        OSError: nobody knows the name.
        UnicodeError: it is none.
    """
    if where.is_numeric:
        return where.host
    found = socket.getaddrinfo(where.host, where.port, socket.AF_INET, socket.SOCK_STREAM)
    return str(found[0][4][0])


def verify(address: str, profile: Profile, found: Upload) -> Verified:
    """Return what a session may rely on when the controller in *found* has our tags.

    Raises:
        ForeignControllerError: it is of another make.
        ContractMismatchError: names the tag, the member and the rule, or the room that is missing.
    """
    if found.identity.vendor != VENDOR:
        raise ForeignControllerError(
            f"{address}: is of {found.identity.vendor} ({found.identity.product_name}), "
            f"must be of {VENDOR}"
        )
    check_tags(found.definitions, profile.tags)
    verdicts_per_packet(profile, found.connection_size)
    return Verified(
        address=address,
        profile=profile.name,
        serial=found.identity.serial,
        product_name=found.identity.product_name,
        table_version=found.table_version.hex(),
        handles=_handles(profile, found),
    )


def _handles(profile: Profile, found: Upload) -> dict[str, int]:
    """Return the structure handles by our own type names: the controller's may be others."""
    handles: dict[str, int] = {}
    for tag in profile.tags:
        if isinstance(tag.type, Udt):
            data_type: Mapping[str, Mapping[str, int]] = found.definitions[tag.name]["data_type"]
            handles[tag.type.name] = data_type["template"]["structure_handle"]
    return handles
