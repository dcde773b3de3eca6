"""The same model and frames behind other servers, in turn with our judge: time beyond the run.

One request at a time, each only when the one before is answered: the kindest case for a server.
Everybody runs at normal priority. A peer's time is from the frame in its client's memory to the
score in there; ours is from the frame complete in the judge's memory to the verdict sent, image
gate included, and as a row of its own from the camera's memory to the verdict in its reader's.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final

from benches.hub_bench.verdict import percentile
from benches.inspect_bench import peers
from benches.inspect_bench.parts import SeenPart, steps_of
from benches.inspect_bench.peers.starting import RAW
from benches.inspect_bench.report import Bench, milliseconds, sound_frames
from benches.inspect_bench.station import Station
from benches.plc_bench.figures import NS_PER_US, Line

from taktgate.edge.clock import MILLISECOND, monotonic_ns

SEED_RATIO: Final = 300.0
SEED: Final = "article"
OURS: Final = "taktgate"
FROM_CAMERA: Final = "taktgate, from the camera on"
WITHOUT_ENCODING: Final = "article, its client's encoding left out"
_TAKT_NS: Final = 35 * MILLISECOND
"""At least so long after a part the next one comes: frame windows must not overlap."""
_LONGEST_S: Final = 5.0
_WARM_UP: Final = 3


@dataclass(slots=True, kw_only=True)
class Measured:
    """Times in us by who took them."""

    beyond_us: dict[str, list[float]] = field(default_factory=dict)
    total_us: dict[str, list[float]] = field(default_factory=dict)
    run_us: dict[str, list[float]] = field(default_factory=dict)
    absent: dict[str, str] = field(default_factory=dict)
    failed: Counter[str] = field(default_factory=Counter)
    """Requests without a score: they have no time, and are printed."""

    def add(self, name: str, *, total_us: float, run_us: float) -> None:
        """Add one request."""
        self.total_us.setdefault(name, []).append(total_us)
        self.run_us.setdefault(name, []).append(run_us)
        self.beyond_us.setdefault(name, []).append(total_us - run_us)


def measure(bench: Bench) -> None:
    """Let everybody judge the same frames in turn."""
    measured = Measured()
    with _normal_priority(), ExitStack() as stack:
        servers: list[peers.Peer] = []
        for name in peers.NAMES:
            bench.say(f"peers: starting {name}")
            try:
                servers.append(stack.enter_context(peers.start(name, bench.weld_seam())))
            except peers.PeerAbsentError as error:
                measured.absent[name] = str(error)
                bench.say(f"peers: {name} is absent: {error}")
        station = stack.enter_context(bench.station(bench.weld_seam()))
        _take_turns(bench, station, servers, Measured(), _WARM_UP)
        _take_turns(bench, station, servers, measured, bench.effort.peer_requests)
    for name, samples in measured.beyond_us.items():
        bench.keep(f"beyond the run, {name}", 0, samples)
    bench.add_table("beyond session.run, one request at a time", measured.beyond_us)
    bench.add_table("from end to end, one request at a time", measured.total_us)
    _report(bench, measured)


@contextmanager
def _normal_priority() -> Iterator[None]:
    """Have the bench itself compete with nobody: one peer is in its own process."""
    policy, its = os.sched_getscheduler(0), os.sched_getparam(0)
    os.sched_setscheduler(0, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, os.sched_param(0))
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy | os.SCHED_RESET_ON_FORK, its)


def _take_turns(
    bench: Bench, station: Station, servers: list[peers.Peer], measured: Measured, count: int
) -> None:
    frames = sound_frames()
    for number in range(count):
        if number % 50 == 0 and count > _WARM_UP:
            bench.say(f"peers: request {number + 1} of {count}")
        frame = frames[number % len(frames)]
        for server in servers:
            try:
                timing = server.request(frame)
            except peers.PeerError as error:
                measured.failed[server.name] += 1
                bench.say(f"peers: no score: {error}")
                continue
            run_us, total_us = timing.run_ns / NS_PER_US, timing.total_ns / NS_PER_US
            measured.add(server.name, total_us=total_us, run_us=run_us)
            if server.name == SEED:
                total_us -= timing.encode_ns / NS_PER_US
                measured.add(WITHOUT_ENCODING, total_us=total_us, run_us=run_us)
            station.pass_time(0)  # its line stays alive
        station.camera.prepare(frame)
        part = station.part(frame)
        station.until(partial(_has_verdict, part), _LONGEST_S, "a verdict")
        _add_ours(measured, part)
        station.pass_time(max(0, part.sent_ns + _TAKT_NS - monotonic_ns()) / 1e9)


def _has_verdict(part: SeenPart) -> bool:
    return part.envelope is not None


def _add_ours(measured: Measured, part: SeenPart) -> None:
    """Add our part; one that was not judged has no run to be told from the rest."""
    steps = steps_of(part)
    if steps is not None:
        measured.add(OURS, total_us=steps.beyond_run + steps.run, run_us=steps.run)
        end_to_end_us = (part.seen_ns - part.exposure_ns) / NS_PER_US
        measured.add(FROM_CAMERA, total_us=end_to_end_us, run_us=steps.run)


def _report(bench: Bench, measured: Measured) -> None:
    p99_us = {name: percentile(each, 99) for name, each in measured.beyond_us.items()}
    bench.report.facts["peers"] = _facts(measured)
    for name, why in measured.absent.items():
        bench.report.newest.notes.append(f"peer {name} is absent: {why}")
    ratio = _ratio(p99_us, SEED, OURS)
    bench.report.facts["seed_ratio_p99"] = ratio
    bench.report.facts["seed_ratio_p99_from_camera"] = _ratio(p99_us, SEED, FROM_CAMERA)
    bench.report.facts["seed_ratio_p99_without_encoding"] = _ratio(p99_us, WITHOUT_ENCODING, OURS)
    bench.report.newest.lines += _lines(ratio, p99_us)


def _ratio(p99_us: Mapping[str, float], theirs: str, ours: str) -> float | None:
    if theirs not in p99_us or ours not in p99_us:
        return None
    return round(p99_us[theirs] / p99_us[ours], 1)


def _facts(measured: Measured) -> dict[str, Any]:
    present = {
        name: {
            "beyond_run_ms": milliseconds(measured.beyond_us[name]),
            "total_ms": milliseconds(measured.total_us[name]),
            "run_ms": milliseconds(measured.run_us[name]),
            "failed": measured.failed[name],
        }
        for name in measured.beyond_us
    }
    return {**present, **{name: {"absent": why} for name, why in measured.absent.items()}}


def _lines(ratio: float | None, p99_us: Mapping[str, float]) -> list[Line]:
    no_servers = (OURS, FROM_CAMERA, WITHOUT_ENCODING, RAW)
    servers = {name: each for name, each in p99_us.items() if name not in no_servers}
    nearest = min(servers, key=lambda name: servers[name], default=None)
    ours_us = p99_us.get(OURS, float("inf"))
    return [
        Line(
            promise=f"beyond session.run at p99: >= {SEED_RATIO:g} x less than the article's",
            measured="one of the two is missing" if ratio is None else f"{ratio:.0f} x",
            kept=ratio is not None and ratio >= SEED_RATIO,
        ),
        Line(
            promise="beyond session.run at p99, image gate included: less than every server",
            measured=f"{ours_us / 1000:.2f} ms, the nearest is {nearest}"
            + (f" at {servers[nearest] / 1000:.2f} ms" if nearest else ""),
            kept=nearest is not None and ours_us < servers[nearest],
        ),
    ]
