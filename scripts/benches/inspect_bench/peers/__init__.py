"""Other ways to serve the same model: one frame in, one score out, one at a time.

    with peers.start("litserve", model) as peer:
        timing = peer.request(frame)

`NAMES` lists them; `start` raises `PeerAbsentError` where one cannot be had, and says why. The
fastest way found for each server to take raw bytes is used, with one worker; sessions are the
same (one thread, no spinning, all optimisations). Requests go one by one; who takes turns is the
caller's affair.
"""

from benches.inspect_bench.peers.port import Frame, Peer, PeerAbsentError, PeerError, PeerTiming
from benches.inspect_bench.peers.starting import NAMES, start

__all__ = ["NAMES", "Frame", "Peer", "PeerAbsentError", "PeerError", "PeerTiming", "start"]
