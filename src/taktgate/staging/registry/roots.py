"""The chain of roots that this station has trusted, walked anew each time it is needed. Pure.

Each root is signed by the keys of the one before it and by its own (TUF specification 5.3.4). So
the files need not be trusted as they lie there: a damaged one, or one of another registry, does not
fit, and everything from there on must be fetched again.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, Root


@dataclass(frozen=True, slots=True, kw_only=True)
class RootChain:
    """The roots from the first one on, as far as each follows from the last.

    Attributes:
        roots: At least one.
        newest: The last one's bytes.
        floor: The version that this station has trusted once; above the last one's when a file
            between them is damaged.
    """

    roots: tuple[Root, ...]
    newest: bytes
    floor: int

    @property
    def version(self) -> int:
        """The newest root's."""
        return self.roots[-1].version


def chain(first: bytes, kept: Mapping[int, bytes]) -> RootChain:
    """Return the chain from *first* on through *kept*, which are by version.

    Raises:
        RepositoryError: *first* is no root, or does not sign itself.
    """
    root = following(first, None)
    roots, newest = [root], first
    while (content := kept.get(roots[-1].version + 1)) is not None:
        try:
            roots.append(following(content, roots[-1]))
        except RepositoryError:
            break
        newest = content
    # Kept roots of another registry say nothing of this one: its operator has put another first
    # root into the config folder.
    is_ours = len(roots) > 1 or kept.get(root.version) == first
    floor = max(kept) if kept and is_ours else roots[-1].version
    return RootChain(roots=tuple(roots), newest=newest, floor=max(floor, roots[-1].version))


def following(content: bytes, before: Root | None) -> Root:
    """Return the root in *content*, which follows *before*; the first one follows itself.

    Raises:
        RepositoryError: it does not.
    """
    metadata = Metadata[Root].from_bytes(content)
    root = metadata.signed
    if not isinstance(root, Root):
        raise RepositoryError(f"expected a root, got {root.type}")
    if before is not None:
        if root.version != before.version + 1:
            raise RepositoryError(f"expected root {before.version + 1}, got {root.version}")
        before.verify_delegate(Root.type, metadata.signed_bytes, metadata.signatures)
    root.verify_delegate(Root.type, metadata.signed_bytes, metadata.signatures)
    return root
