"""Keys that are replaced, because they are old, lost or stolen, and metadata that is signed anew.

A key is replaced in two steps: first its role has the old and the new one, then the new one alone.
In between, what the old key signed is replaced. So every state, also one that a power cut leaves,
is one that clients accept, and the old private key is not needed: it may be lost.
"""

import datetime
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from securesystemslib.signer import Key
from tuf.api.metadata import Root, Snapshot, Targets, Timestamp

from taktgate.registry.errors import NoSuchRoleError
from taktgate.registry.signed.keys import name_of, number_of
from taktgate.registry.signed.repository import ROOT_ROLES, RegistryFiles

_DUE_SHARE: Final = 1 / 3
"""Of its validity: what has less left is due. It leaves two nights to notice a broken job."""

_SIGNERS: Final[Mapping[str, Sequence[str]]] = {
    Root.type: (),
    Timestamp.type: (),
    Snapshot.type: (Timestamp.type,),
}
"""Which roles sign when the key of one is replaced; of all others, snapshot and timestamp do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rotated:
    """Whose keys were replaced by which, by their names."""

    role: str
    removed: tuple[str, ...]
    added: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """What was signed anew.

    Attributes:
        renewed: Roles with a new expiry.
        missing: Roles that are due, too, but whose keys are not at hand.
    """

    renewed: tuple[str, ...]
    missing: tuple[str, ...]


def rotate(files: RegistryFiles, role: str, *, lost: str | None = None) -> Rotated:
    """Replace the keys of *role* by new ones, or only the root key *lost*, by its name.

    Raises:
        NoSuchRoleError: there is no such role, or it has no such key.
        KeyMissingError: fewer keys are at hand than must sign.
    """
    with files.change(signers=_SIGNERS.get(role, (Snapshot.type, Timestamp.type))):
        if role == Root.type:
            files.require_signers(Root.type)
            return _replace_root_keys(files, lost)
        delegator = Root.type if role in ROOT_ROLES else Targets.type
        files.keys_of(role)
        files.require_signers(delegator)
        return _replace_key(files, role, delegator)


def _replace_root_keys(files: RegistryFiles, lost: str | None) -> Rotated:
    """Write one root that the old and the new keys sign (TUF specification, 6.1)."""
    keys = files.keys_of(Root.type)
    removed = [key for key in keys if lost in (None, name_of(key))]
    if not removed:
        names = ", ".join(map(name_of, keys))
        raise NoSuchRoleError(f"root: no key {lost}; it has {names}")
    first = 1 + max(map(number_of, keys))
    added = [files.keys.make(f"root-{first + place}") for place in range(len(removed))]
    with files.edit_root() as root:
        for key in added:
            root.add_key(key, Root.type)
        for key in removed:
            root.revoke_key(key.keyid, Root.type)
    return _rotated(Root.type, removed, added)


def _replace_key(files: RegistryFiles, role: str, delegator: str) -> Rotated:
    keys = files.keys_of(role)
    if len(keys) == 1:
        new = files.keys.make(f"{role}-{1 + max(map(number_of, keys))}")
        with _edit(files, delegator) as signed:
            signed.add_key(new, role)
    else:
        new = max(keys, key=number_of)  # a rotation was cut off: go on with its key
    _sign_anew(files, role)
    files.publish()
    old = [key for key in keys if key.keyid != new.keyid]
    with _edit(files, delegator) as signed:
        for key in old:
            signed.revoke_key(key.keyid, role)
    return _rotated(role, old, [new])


@contextmanager
def _edit(files: RegistryFiles, delegator: str) -> Iterator[Root | Targets]:
    with files.edit(delegator) as signed:
        assert isinstance(signed, Root | Targets)
        yield signed


def _rotated(role: str, removed: Sequence[Key], added: Sequence[Key]) -> Rotated:
    return Rotated(
        role=role, removed=tuple(map(name_of, removed)), added=tuple(map(name_of, added))
    )


def renew(
    files: RegistryFiles, roles: Sequence[str] = (), *, within_days: float | None = None
) -> Renewal:
    """Sign anew what expires soon; return what was, and what could not be.

    Args:
        files: the registry.
        roles: look at these only; at all if there is none.
        within_days: what expires within so many days is due; by default what has less than a third
            of its validity left.

    Raises:
        NoSuchRoleError: there is no such role.
        KeyMissingError: snapshot or timestamp cannot be signed here.
        PassphraseError: a key of what is due is encrypted, and no passphrase opens it.
    """
    with files.held():
        for role in roles:
            files.keys_of(role)
        wanted = [role for role in files.roles() if not roles or role in roles]
        due = [role for role in wanted if _is_due(files, role, within_days)]
        missing = [role for role in due if not files.signable(role)]
        renewed = [role for role in due if role not in missing]
        if set(renewed) - {Root.type, Timestamp.type}:
            files.require_signers(Snapshot.type, Timestamp.type)
        is_publishable = files.signable(Timestamp.type) and files.signable(Snapshot.type)
        for role in renewed:
            _sign_anew(files, role)
        if renewed and is_publishable:
            files.publish()
    return Renewal(renewed=tuple(renewed), missing=tuple(missing))


def _is_due(files: RegistryFiles, role: str, within_days: float | None) -> bool:
    days = files.settings.days_valid.of(role) * _DUE_SHARE if within_days is None else within_days
    left: datetime.timedelta = files.open(role).signed.expires - files.clock()
    return left < datetime.timedelta(days=days)


def _sign_anew(files: RegistryFiles, role: str) -> None:
    """Write the next version of *role*, unchanged but for expiry and signatures."""
    ways: dict[str, Callable[[], object]] = {
        Snapshot.type: lambda: files.do_snapshot(force=True),
        Timestamp.type: lambda: files.do_timestamp(force=True),
    }
    if role in ways:
        ways[role]()
        return
    with files.edit(role):
        pass
