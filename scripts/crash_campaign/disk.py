"""A disk after a power cut: every tree of files that a recording may have left. Pure.

The model is the weakest that Linux's manual pages and journaling file systems leave room for; ext4
(ordered and writeback, with and without delayed allocation), XFS, btrfs and F2FS each allow less.

* One change of names (create, rename, unlink, mkdir, rmdir) is whole or absent: the journal makes
  it so. A rename takes the old name away and gives the new one in the same step.
* fsync of a folder: each change of a name in it, made before, is there (fsync(2): syncing the file
  "does not necessarily ensure that the entry in the directory containing the file has also reached
  disk. For that an explicit fsync() on a file descriptor for the directory is also needed").
* A change of names after that may be there or not, whatever became of earlier ones: names become
  durable in any order. ext4's one journal keeps their order; POSIX does not ask for it, and ALICE
  (Pillai et al., OSDI 2014) found file systems that do not.
* fsync of a file: its bytes and its length are there, and no name of it.
* Bytes written after that may be there whole or not at all; as a prefix; as zeros of the full
  length (the length was journaled, the blocks were not written: data=writeback and delayed
  allocation); or as stale blocks of another file. Each file's on its own.
* The write in which the power goes may have reached any length (see `torn_lengths`), the rest being
  cut off, zeros or stale. A rename over a file does not flush the new file (auto_da_alloc is no
  promise).
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Final

from taktgate.standin.recorded_files import Call, Kind

Tree = Mapping[str, bytes | None]
"""Content by path; None for a folder."""

ALL_SUBSETS_OF: Final = 4
"""So many unsynced changes of names are combined in every way; of more, a choice."""
CHOSEN: Final = 3
"""Where there are more: each prefix, and so many of them alone, missing alone, and by chance."""
_BLOCK: Final = 4096
_STALE: Final = b"\x7fSTALE BLOCK OF ANOTHER FILE\x00\xff"
_ROOT: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskState:
    """One tree that a power cut may have left.

    Attributes:
        cut: So many calls had been made.
        variant: Its number among the states of that cut: with the cut, how to make it again.
        lost: What of the unsynced work is missing or torn, in words.
        tree: What lies on the disk.
    """

    cut: int
    variant: int
    lost: str
    tree: Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class _NameChange:
    """One change of names: in each folder (by number), a name stands for a node or for nothing."""

    sets: tuple[tuple[int, str, int | None], ...]
    what: str


@dataclass(slots=True, kw_only=True)
class _File:
    """Bytes as they are, and as they were synced."""

    now: bytes = b""
    synced: bytes = b""
    is_synced: bool = True
    path: str = ""


@dataclass(slots=True, kw_only=True)
class _Names:
    """The names in each folder."""

    folders: dict[int, dict[str, int]] = field(default_factory=dict)

    def apply(self, change: _NameChange) -> None:
        for folder, name, node in change.sets:
            names = self.folders.setdefault(folder, {})
            if node is None:
                names.pop(name, None)
            else:
                names[name] = node

    def copy(self) -> "_Names":
        return _Names(folders={number: dict(names) for number, names in self.folders.items()})


class Volume:
    """The disk while the recording runs: what is there, and what of it is not synced yet."""

    def __init__(self, base: Tree) -> None:
        """Begin with *base*, all of it durable."""
        self._files: dict[int, _File] = {}
        self._folders = {_ROOT}
        self._open: dict[int, int] = {}
        self._now = _Names(folders={_ROOT: {}})
        self._durable = _Names(folders={_ROOT: {}})
        self._pending: list[_NameChange] = []
        self._next = 1
        for path in sorted(base):
            content = base[path]
            node = self._node(path, is_folder=content is None)
            if content is not None:
                self._files[node] = _File(now=content, synced=content, path=path)
            self._settle(self._link(path, node))

    def play(self, call: Call) -> None:
        """Take in one call."""
        if call.kind in (Kind.CREATE, Kind.MAKE_FOLDER):
            node = self._node(call.path, is_folder=call.kind is Kind.MAKE_FOLDER)
            self._change(self._link(call.path, node))
            self._open[call.handle] = node
        elif call.kind is Kind.EXTEND:
            node = self._open[call.handle] = self._find(call.path)
            self._write(node, self._files[node].now[: call.size_bytes])
        elif call.kind is Kind.WRITE:
            node = self._open[call.handle]
            self._write(node, self._files[node].now + call.data)
        elif call.kind is Kind.SYNC:
            file = self._files[self._open[call.handle]]
            file.synced, file.is_synced = file.now, True
        elif call.kind is Kind.SYNC_FOLDER:
            self._sync_folder(self._find(call.path))
        elif call.kind is not Kind.CLOSE:
            self._change(self._unlink_or_rename(call))

    def states(self, cut: int, torn: Call | None, dice: random.Random) -> Iterator[DiskState]:
        """Yield the trees that may be left now; *torn* is the call in which the power goes."""
        for number, (lost, tree) in enumerate(self._trees(torn, dice)):
            yield DiskState(cut=cut, variant=number, lost=lost, tree=tree)

    def _trees(self, torn: Call | None, dice: random.Random) -> Iterator[tuple[str, Tree]]:
        whole, none = tuple(range(len(self._pending))), ()
        names = self._name_choices(dice)
        few = list(dict.fromkeys((names[0], names[-1], *names[1:3], dice.choice(names))))
        for data_lost, content in self._data_choices():
            for kept in names if data_lost in ("data whole", "data lost") else few:
                yield f"{self._names_lost(kept)}; {data_lost}", self._tree(kept, content)
        if torn is None or torn.kind is not Kind.WRITE:
            return
        node = self._open[torn.handle]
        for what, data in torn_writes(torn.data):
            content = {node: self._files[node].now + data}
            for kept in (whole, none):
                lost = f"{self._names_lost(kept)}; write of {torn.path} torn: {what}"
                yield lost, self._tree(kept, content)

    def _name_choices(self, dice: random.Random) -> list[tuple[int, ...]]:
        """Return sets of pending changes that are on the disk: all of them first, then none."""
        count = len(self._pending)
        everything = tuple(range(count))
        if count <= ALL_SUBSETS_OF:
            sizes = range(count, -1, -1)
            return [kept for size in sizes for kept in combinations(everything, size)]
        chosen = [everything[:size] for size in range(count, -1, -1)]
        singled = [*dice.sample(everything, min(count, CHOSEN)), everything[-1]]
        chosen += [tuple(each for each in everything if each != lost) for lost in singled]
        chosen += [(alone,) for alone in singled]
        chosen += [tuple(each for each in everything if dice.random() < 0.5) for _ in range(CHOSEN)]
        return list(dict.fromkeys(chosen))

    def _data_choices(self) -> list[tuple[str, dict[int, bytes]]]:
        """Return contents of the files whose bytes are not synced."""
        dirty = {node: file for node, file in self._files.items() if not file.is_synced}
        choices: list[tuple[str, dict[int, bytes]]] = [("data whole", {})]
        if not dirty:
            return choices
        for what in ("lost", "half", "zeros", "stale"):
            every = {node: _damaged(file, what) for node, file in dirty.items()}
            choices.append((f"data {what}", every))
            if len(dirty) > 1:
                choices += [
                    (f"data of {dirty[node].path} {what}", {node: content})
                    for node, content in every.items()
                ]
        return choices

    def _names_lost(self, kept: Sequence[int]) -> str:
        lost = [str(index) for index in range(len(self._pending)) if index not in kept]
        if not lost:
            return "names whole"
        first = self._pending[int(lost[0])].what
        more = f" and {len(lost) - 1} more" if len(lost) > 1 else ""
        return f"lost: {first}{more}"

    def _tree(self, kept: Sequence[int], content: Mapping[int, bytes]) -> Tree:
        names = self._durable.copy()
        for index in kept:
            names.apply(self._pending[index])
        tree: dict[str, bytes | None] = {}
        self._walk(names, _ROOT, "", content, tree)
        return tree

    def _walk(
        self,
        names: _Names,
        folder: int,
        path: str,
        content: Mapping[int, bytes],
        tree: dict[str, bytes | None],
    ) -> None:
        for name, node in names.folders.get(folder, {}).items():
            here = f"{path}{name}"
            if node in self._folders:
                tree[here] = None
                self._walk(names, node, f"{here}/", content, tree)
            else:
                tree[here] = content.get(node, self._files[node].now)

    def _node(self, path: str, *, is_folder: bool) -> int:
        node, self._next = self._next, self._next + 1
        if is_folder:
            self._folders.add(node)
            self._now.folders[node] = {}
        else:
            self._files[node] = _File(path=path)
        return node

    def _write(self, node: int, content: bytes) -> None:
        file = self._files[node]
        if content != file.now:
            file.now, file.is_synced = content, False

    def _sync_folder(self, folder: int) -> None:
        """Make the changes in *folder* durable; one that spans two folders is whole, so with it."""
        left = []
        for change in self._pending:
            if any(each == folder for each, _, _ in change.sets):
                self._durable.apply(change)
            else:
                left.append(change)
        self._pending = left

    def _change(self, change: _NameChange) -> None:
        self._now.apply(change)
        self._pending.append(change)

    def _settle(self, change: _NameChange) -> None:
        self._now.apply(change)
        self._durable.apply(change)

    def _link(self, path: str, node: int) -> _NameChange:
        folder, name = self._place(path)
        return _NameChange(sets=((folder, name, node),), what=f"new {path}")

    def _unlink_or_rename(self, call: Call) -> _NameChange:
        folder, name = self._place(call.path)
        gone = (folder, name, None)
        if call.kind is not Kind.RENAME:
            return _NameChange(sets=(gone,), what=f"removal of {call.path}")
        there, new = self._place(call.to)
        sets = (gone, (there, new, self._find(call.path)))
        return _NameChange(sets=sets, what=f"rename to {call.to}")

    def _place(self, path: str) -> tuple[int, str]:
        folder, _, name = path.rpartition("/")
        return self._find(folder), name

    def _find(self, path: str) -> int:
        node = _ROOT
        for name in path.split("/") if path else ():
            node = self._now.folders[node][name]
        return node


def torn_lengths(size_bytes: int) -> list[int]:
    """Return after how many of *size_bytes* a write may have stopped."""
    blocks = list(range(_BLOCK, size_bytes, _BLOCK))
    lengths = {0, 1, 512, size_bytes // 2, size_bytes - 1, *blocks[:4], *blocks[-2:]}
    return sorted(length for length in lengths if 0 <= length < size_bytes)


def torn_writes(data: bytes) -> list[tuple[str, bytes]]:
    """Return what a write of *data* may have left when the power went.

    The rest is zeros or stale behind every second of the lengths, the first and the last included.
    """
    left = []
    for number, length in enumerate(torn_lengths(len(data))):
        rest = len(data) - length
        left.append((f"{length} of {len(data)} B", data[:length]))
        if number % 2:
            continue
        left.append((f"{length} B, then zeros", data[:length] + bytes(rest)))
        left.append((f"{length} B, then stale", data[:length] + _stale(rest)))
    return left


def _damaged(file: _File, what: str) -> bytes:
    """Return the content of *file* with what was written since its last sync *what*."""
    if what == "lost" or len(file.now) <= len(file.synced):
        return file.synced
    fresh = file.now[len(file.synced) :]
    kept = {
        "half": fresh[: len(fresh) // 2],
        "zeros": bytes(len(fresh)),
        "stale": _stale(len(fresh)),
    }
    return file.now[: len(file.synced)] + kept[what]


def _stale(size_bytes: int) -> bytes:
    return (_STALE * (size_bytes // len(_STALE) + 1))[:size_bytes]


@dataclass(slots=True, kw_only=True)
class Cut:
    """A tree, and every moment at which the power may have gone to leave it.

    One tree may be left early, when nothing was promised yet, and late, when it must not be.
    """

    state: DiskState
    moments: list[int]


def states_of(base: Tree, calls: Sequence[Call], *, seed: int) -> list[Cut]:
    """Return each distinct tree that a power cut during *calls*, on *base*, may leave."""
    volume, found = Volume(base), dict[int, Cut]()
    for moment in range(len(calls) + 1):
        following = calls[moment] if moment < len(calls) else None
        dice = random.Random(seed * 1_000_003 + moment)  # noqa: S311 - nothing secret
        for state in volume.states(moment, following, dice):
            # 64 bits tell some 10,000 trees apart; the bytes of a file are hashed once.
            known = found.setdefault(
                hash(frozenset(state.tree.items())), Cut(state=state, moments=[])
            )
            if moment not in known.moments[-1:]:
                known.moments.append(moment)
        if following is not None:
            volume.play(following)
    return list(found.values())
