"""A controller held against the contract: every tag and member, and what differs."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

from taktgate.plc.contract.packet_size import verdicts_per_packet
from taktgate.plc.contract.tag_check import differences
from taktgate.plc.contract.tags import Member, Tag, Udt
from taktgate.plc.contract.wire import Profile
from taktgate.plc.errors import ConnectionTooSmallError, ContractMismatchError
from taktgate.plc.link.upload import Upload
from taktgate.plc.opening.contract_check import VENDOR

_ABSENT: Final = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One tag, or one member of it: what the contract wants, and which rules are broken."""

    name: str
    wanted: str
    access: str
    """External access as found; only tags have one."""
    broken: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractReport:
    """The result of one read-only look at a controller."""

    address: str
    profile: str
    upload: Upload
    rows: tuple[Row, ...]
    faults: tuple[str, ...]
    """What is wrong with the controller itself, whatever its tags are."""
    verdicts: int
    """Verdicts in one packet."""

    @property
    def broken(self) -> tuple[str, ...]:
        """Return every difference, as one sentence each."""
        found = [f"{row.name}: {rule}" for row in self.rows for rule in row.broken]
        return (*self.faults, *found)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as a JSON document."""
        return {
            "address": self.address,
            "profile": self.profile,
            "is_equal": not self.broken,
            "differences": list(self.broken),
            "identity": asdict(self.upload.identity),
            "keyswitch": self.upload.keyswitch,
            "connection_bytes": self.upload.connection_size,
            "verdicts_per_packet": self.verdicts,
            "table_version": self.upload.table_version.hex(),
            "tags": [asdict(row) for row in self.rows],
        }

    def as_text(self) -> str:
        """Return the report for a person."""
        identity = self.upload.identity
        marks = "class 0xAC" if self.upload.table_version else "none: full check at each opening"
        facts = {
            "controller": f"{identity.product_name} ({identity.vendor})",
            "serial": f"{identity.serial:08x}",
            "firmware": f"{identity.major}.{identity.minor:03d}",
            "program": identity.program or _ABSENT,
            "keyswitch": self.upload.keyswitch + _keyswitch_hint(self.upload.keyswitch),
            "connection": f"{self.upload.connection_size} bytes, verdicts in one packet: "
            f"{self.verdicts}",
            "change marks": marks,
            "profile": self.profile,
        }
        lines = [f"{self.address}"]
        lines += [f"  {name:<13} {value}" for name, value in facts.items()]
        lines += ["", f"  {'tag':<28} {'contract':<20} {'access':<11} state"]
        lines += [
            f"  {row.name:<28} {row.wanted:<20} {row.access:<11} {'; '.join(row.broken) or 'ok'}"
            for row in self.rows
        ]
        return "\n".join([*lines, "", _verdict(self.broken, self.faults), ""])


def compare(address: str, upload: Upload, profile: Profile) -> ContractReport:
    """Return how the controller in *upload* differs from the contract of *profile*.

    Raises:
        KeyError: the definitions are of a shape that pycomm3 never reports.
    """
    found = list(differences(upload.definitions, profile.tags))
    rows = [row for tag in profile.tags for row in _rows(tag, upload.definitions, found)]
    faults: list[str] = []
    if upload.identity.vendor != VENDOR:
        faults.append(f"controller: is of {upload.identity.vendor}, must be of {VENDOR}")
    verdicts = 0
    try:
        verdicts = verdicts_per_packet(profile, upload.connection_size)
    except ConnectionTooSmallError as error:
        faults.append(f"connection: {error.rule}")
    return ContractReport(
        address=address,
        profile=profile.name,
        upload=upload,
        rows=tuple(rows),
        faults=tuple(faults),
        verdicts=verdicts,
    )


def _rows(
    tag: Tag, definitions: Mapping[str, Mapping[str, Any]], found: list[ContractMismatchError]
) -> Iterator[Row]:
    own = [each for each in found if each.tag == tag.name]
    access = definitions.get(tag.name, {}).get("external_access", _ABSENT)
    yield Row(name=tag.name, wanted=_wanted(tag), access=access, broken=_rules(own, ""))
    is_structure = definitions.get(tag.name, {}).get("tag_type") == "struct"
    if not isinstance(tag.type, Udt) or not is_structure:
        return
    for member in tag.type.members:
        yield Row(
            name=f"{tag.name}.{member.name}",
            wanted=_place(member),
            access="",
            broken=_rules(own, member.name),
        )
    known = {member.name for member in tag.type.members} | {""}
    for name in sorted({each.member for each in own} - known):
        wanted = "(no such member)"
        yield Row(name=f"{tag.name}.{name}", wanted=wanted, access="", broken=_rules(own, name))


def _rules(found: list[ContractMismatchError], member: str) -> tuple[str, ...]:
    return tuple(each.rule for each in found if each.member == member)


def _wanted(tag: Tag) -> str:
    kind = tag.type.name if isinstance(tag.type, Udt) else str(tag.type)
    return f"{kind}[{tag.dimension}]" if tag.dimension else kind


def _place(member: Member) -> str:
    bit = "" if member.bit is None else f".{member.bit}"
    return f"{member.type} at {member.offset}{bit}"


def _keyswitch_hint(keyswitch: str) -> str:
    return ": the PLC's program does not run" if "PROG" in keyswitch else ""


def _verdict(broken: tuple[str, ...], faults: tuple[str, ...]) -> str:
    if not broken:
        return "equal to the contract"
    lines = [f"differs from the contract in {len(broken)}:", *(f"  {each}" for each in broken)]
    if len(broken) > len(faults):
        lines.append("to mend: import the file of `taktgate plc l5x`, and download it")
    return "\n".join(lines)
