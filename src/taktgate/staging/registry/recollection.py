"""What the registry's metadata on the disk says, without asking anybody.

Signatures are checked anew, from the trusted root down (TUF specification, section 5.6), since a
disk may rot. Dates and versions are not: the client accepted them when it wrote the files, and they
bind what is fetched. What a station decided by them offline, it decided before.
"""

from pathlib import Path
from urllib.parse import quote

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root, TargetFile, Targets


def recalled(root: Root, folder: Path, path: str, *, role: str) -> TargetFile | None:
    """Return the target *path* that *role*, delegated by `targets`, has signed; None: nobody has.

    Whatever is missing, rotten or not signed as it must be is as good as not there.

    Args:
        root: the newest that is trusted.
        folder: where the other roles' metadata lies.
        path: of the target.
        role: whose word counts for it.
    """
    try:
        targets = _signed(folder, Targets.type)
        root.verify_delegate(Targets.type, targets.signed_bytes, targets.signatures)
        own = _signed(folder, role)
        targets.signed.verify_delegate(role, own.signed_bytes, own.signatures)
    except (OSError, RepositoryError, ValueError):
        return None
    return own.signed.targets.get(path) if _is_delegated(targets.signed, role, path) else None


def _signed(folder: Path, role: str) -> Metadata[Targets]:
    content = (folder / f"{quote(role, '')}.json").read_bytes()
    metadata = Metadata[Targets].from_bytes(content)
    if not isinstance(metadata.signed, Targets):
        raise RepositoryError(f"{role}.json is of another type")
    return metadata


def _is_delegated(targets: Targets, role: str, path: str) -> bool:
    """Tell whether *role* may speak of *path* at all."""
    roles = targets.delegations.roles if targets.delegations is not None else None
    return bool(roles and role in roles and roles[role].is_delegated_path(path))
