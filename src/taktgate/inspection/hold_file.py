"""`hold.json`: an operator's "not now" to new models, for the stager to heed. Durable."""

from dataclasses import dataclass
from pathlib import Path

from taktgate.contracts.codec import encode
from taktgate.contracts.hold import HOLD_FILE, Hold
from taktgate.edge.file_system import LOCAL, FileSystem
from taktgate.edge.files import discard, publish


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldFile:
    """The file in *folder*, beside `activation.json`."""

    folder: Path
    files: FileSystem = LOCAL

    def put(self, hold: Hold) -> None:
        """Hold new models back from now on; a former hold is replaced.

        Raises:
            OSError: the disk refused; what held before holds still.
        """
        publish(self.folder / HOLD_FILE, encode(hold), files=self.files)

    def lift(self) -> bool:
        """Let new models come again; return False when nothing held them, not even a broken file.

        Raises:
            OSError: the disk refused.
        """
        path = self.folder / HOLD_FILE
        if not path.exists():
            return False
        discard(path, files=self.files)
        self.files.sync_folder(self.folder)
        return True
