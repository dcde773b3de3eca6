"""What a refusal of python-tuf means: which attack it is, or which slip. Pure.

python-tuf says in its exceptions' types what kind of rule was broken, and only in their texts which
one. The documents say it too: what was asked for last, and what was trusted by then.
"""

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from tuf.api.exceptions import (
    BadVersionNumberError,
    ExpiredMetadataError,
    LengthOrHashMismatchError,
    RepositoryError,
    UnsignedMetadataError,
)
from tuf.api.metadata import Metadata, Root, Signed, Snapshot, Targets, Timestamp
from tuf.api.serialization import DeserializationError, SerializationError

from taktgate.staging.errors import DistrustError
from taktgate.staging.registry.reasons import Distrust

_TOP_LEVEL: Final = (Root.type, Timestamp.type, Snapshot.type, Targets.type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """What was on the table when python-tuf refused.

    Attributes:
        role: Whose metadata was asked for last.
        came: That metadata, not verified; None if it cannot be read.
        trusted: What was accepted by then, or earlier, by role.
        now: This machine's clock.
    """

    role: str
    came: Metadata[Any] | None
    trusted: Mapping[str, Signed]
    now: datetime

    @property
    def is_of_its_role(self) -> bool:
        """Tell whether what came is of the type that was asked for."""
        wanted = self.role if self.role in _TOP_LEVEL else Targets.type
        return self.came is not None and self.came.signed.type == wanted


def explain(error: RepositoryError, evidence: Evidence) -> DistrustError:
    """Return the reason for *error*; its message names role, version got and version wanted."""
    for kind, explanation in _EXPLANATIONS:
        if isinstance(error, kind):
            reason, message = explanation(evidence)
            return DistrustError(reason, f"{message} ({error})" if str(error) else message)
    raise AssertionError(f"{type(error)} is a RepositoryError")


Explanation = tuple[Distrust, str]


def _expired(evidence: Evidence) -> Explanation:
    """The clock and the dates lie on the table: whoever reads it can tell which one is wrong."""
    came = evidence.came.signed if evidence.came else None
    for role in dict.fromkeys((Root.type, Timestamp.type, Snapshot.type, evidence.role)):
        signed = came if role == evidence.role and came else evidence.trusted.get(role)
        if signed is not None and signed.is_expired(evidence.now):
            reason = Distrust.FREEZE if role == Timestamp.type else Distrust.EXPIRED
            return reason, (
                f"role {role}: version {signed.version} was valid until {signed.expires:%F %T}Z, "
                f"and the clock here says {evidence.now:%F %T}Z: either the clock is wrong, or the "
                "registry is not kept up, or an old state of it is shown"
            )
    return Distrust.EXPIRED, f"role {evidence.role}: not valid any more"


def _unsigned(evidence: Evidence) -> Explanation:
    came, role = evidence.came, evidence.role
    assert came is not None, "signatures were looked at"
    for delegator in _delegators(evidence):
        result = delegator.get_verification_result(role, came.signed_bytes, came.signatures)
        if result.verified:
            continue
        keys = len(result.signed) + len(result.unsigned)
        message = (
            f"role {role}: version {came.signed.version} is signed by {len(result.signed)} of "
            f"{keys} keys of {delegator.type} {delegator.version}, {result.threshold} must sign"
        )
        if keys < result.threshold:
            return Distrust.KEY_LOSS, message
        return (Distrust.WRONG_THRESHOLD if result.signed else Distrust.UNSIGNED), message
    return Distrust.UNSIGNED, f"role {role}: nobody says whose keys sign it"


def _delegators(evidence: Evidence) -> Iterator[Root | Targets]:
    root, role = evidence.trusted.get(Root.type), evidence.role
    if role in _TOP_LEVEL:
        if isinstance(root, Root):
            yield root
        if role == Root.type and evidence.came and isinstance(evidence.came.signed, Root):
            yield evidence.came.signed
        return
    for signed in evidence.trusted.values():
        if isinstance(signed, Targets) and role in _delegated_by(signed):
            yield signed


def _delegated_by(targets: Targets) -> Container[str]:
    return (targets.delegations.roles if targets.delegations else None) or ()


def _bad_version(evidence: Evidence) -> Explanation:
    got = evidence.came.signed if evidence.came else None
    trusted = evidence.trusted.get(evidence.role)
    if isinstance(got, Root) and trusted is not None:
        wanted = trusted.version + 1
        return Distrust.ROOT_CHAIN, f"role root: got version {got.version}, wanted {wanted}"
    lower = _fallen_back(got, trusted)
    if lower is not None:
        return Distrust.ROLLBACK, lower
    return _other_than_named(evidence)


def _fallen_back(got: Signed | None, trusted: Signed | None) -> str | None:
    """Tell which version in *got* is lower than in *trusted*, if any."""
    if isinstance(got, Timestamp) and isinstance(trusted, Timestamp):
        if got.version < trusted.version:
            return f"role timestamp: got version {got.version}, wanted {trusted.version} or newer"
        named, known = got.snapshot_meta.version, trusted.snapshot_meta.version
        if named < known:
            return f"role timestamp: names snapshot {named}, wanted {known} or newer"
    if isinstance(got, Snapshot) and isinstance(trusted, Snapshot):
        for name, known_file in trusted.meta.items():
            file = got.meta.get(name)
            if file is None:
                return f"role snapshot: version {got.version} names {name} no more"
            if file.version < known_file.version:
                return (
                    f"role snapshot: names {name} version {file.version}, "
                    f"wanted {known_file.version} or newer"
                )
    return None


def _other_than_named(evidence: Evidence) -> Explanation:
    role = evidence.role
    got = str(evidence.came.signed.version) if evidence.came else "unreadable"
    timestamp, snapshot = (evidence.trusted.get(name) for name in (Timestamp.type, Snapshot.type))
    wanted = None
    if role == Snapshot.type and isinstance(timestamp, Timestamp):
        wanted = timestamp.snapshot_meta
    elif isinstance(snapshot, Snapshot):
        wanted = snapshot.meta.get(f"{role}.json")
    named = f"{wanted.version}, by its length and hashes" if wanted else "one that is named"
    return Distrust.MIX_AND_MATCH, f"role {role}: got version {got}, wanted {named}"


def _malformed(evidence: Evidence) -> Explanation:
    return Distrust.MALFORMED, f"role {evidence.role}: what came is no metadata"


def _otherwise(evidence: Evidence) -> Explanation:
    """python-tuf has no type of its own for another role's file and for a role that is missing."""
    came, role = evidence.came, evidence.role
    if came is not None and not evidence.is_of_its_role:
        return Distrust.MALFORMED, f"role {role}: what came is of type {came.signed.type}"
    gone = _fallen_back(came.signed if came else None, evidence.trusted.get(role))
    if gone is not None:
        return Distrust.ROLLBACK, gone
    return Distrust.MIX_AND_MATCH, f"role {role}, or one below it, is not in the snapshot"


_EXPLANATIONS: Final[
    tuple[tuple[type[RepositoryError], Callable[[Evidence], Explanation]], ...]
] = (
    (ExpiredMetadataError, _expired),
    (UnsignedMetadataError, _unsigned),
    (BadVersionNumberError, _bad_version),
    (LengthOrHashMismatchError, _other_than_named),
    (DeserializationError, _malformed),
    (SerializationError, _malformed),
    (RepositoryError, _otherwise),
)
