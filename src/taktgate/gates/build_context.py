"""Copy what an image build may see of a repository: `python -m taktgate.gates.build_context`."""

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from taktgate.gates.dockerfile import is_in_context


def files_in_context(root: Path) -> Iterator[Path]:
    """Yield the files of *root* that survive its .dockerignore, relative to it.

    Hidden folders and npm's are never entered: the allow-list names none, and they are large.
    """
    ignore = (root / ".dockerignore").read_text("utf-8")
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name != "node_modules"
        )
        for name in sorted(files):
            path = Path(folder, name).relative_to(root)
            if is_in_context(path.as_posix(), ignore):
                yield path


def copy_context(root: Path, target: Path) -> None:
    """Copy the build context of *root* to *target*, a folder that does not exist yet."""
    target.mkdir(parents=True)
    for path in files_in_context(root):
        (target / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(root / path, target / path)


if __name__ == "__main__":
    copy_context(Path(sys.argv[1]), Path(sys.argv[2]))
