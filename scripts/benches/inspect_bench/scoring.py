"""The process of a raw session: runs with one of the bench's frames when it is asked."""

import sys
from pathlib import Path
from typing import Final

from benches.hub_bench.process import serve
from benches.inspect_bench.model import opened
from benches.inspect_bench.raw import RawSession
from benches.inspect_bench.report import sound_frames

WARM_UP_RUNS: Final = 5


class Scoring:
    """One raw session."""

    def open(self, bundle: str, folder: str, threads: int) -> None:
        """Load the model, and run it warm."""
        self._frames = sound_frames()
        self._raw = RawSession(opened(Path(bundle), Path(folder)), threads=threads)
        for frame in self._frames[:WARM_UP_RUNS]:
            self._raw.run(frame)

    def run(self, frame: int) -> int:
        """Return how many ns a run with the frame of this number took."""
        return self._raw.run(self._frames[frame])[1]


if __name__ == "__main__":
    serve(Scoring())
    sys.exit(0)
