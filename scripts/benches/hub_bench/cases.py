"""What is measured: a case runs one block of messages and returns its samples.

Blocks of all cases take turns, so that what the machine does meanwhile falls on all of them alike.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from benches.hub_bench.cloud import DEVICE
from benches.hub_bench.process import BenchProcess, BenchProcessError

SETS = ("sync-plain", "asyncio-plain", "sync-nodelay", "asyncio-nodelay")
"""Client and what it does about Nagle's algorithm: `plain` is the SDK as it comes."""
SMALL, LARGE = 256, 8192
STEADY_PER_S, CHAIN_PER_S, METHOD_PER_S = 50.0, 20.0, 10.0
WARM_UP = 20
NS_PER_MS = 1e6


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """The samples of one block."""

    latencies_ms: tuple[float, ...]
    """From when a message was due to be sent to its arrival."""
    send_ms: tuple[float, ...] = ()
    """How long the sender's call took, which is until the receipt."""
    per_s: float | None = None
    """Messages that arrived, by the time from the first call to the last arrival."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSet:
    """Three modules: `a` sends to `b`, directly or through `r`."""

    name: str
    a: BenchProcess
    r: BenchProcess
    b: BenchProcess


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One thing that is measured."""

    name: str
    module_set: str
    weight: float
    """Samples of this case for each that the user asked for: what is slow gets fewer."""
    run: Callable[[ModuleSet, int], Block]


def latency(size: int) -> Callable[[ModuleSet, int], Block]:
    """Send *size* bytes at a steady rate from `a` to `b`, in an open loop."""
    return lambda modules, count: _messages(modules, "direct", count, STEADY_PER_S, size)


def flat_out(size: int) -> Callable[[ModuleSet, int], Block]:
    """Send *size* bytes from `a` to `b`, the next as soon as the last has its receipt."""
    return lambda modules, count: _messages(modules, "direct", count, None, size)


def chain(modules: ModuleSet, count: int) -> Block:
    """Send from `a` through `r`, which receives and then sends, to `b`."""
    return _messages(modules, "chain", count, CHAIN_PER_S, SMALL)


def method(modules: ModuleSet, count: int) -> Block:
    """Call a direct method of `r` from `a`, there and back."""
    called = f"{modules.name}-r"
    times = modules.a.ask("call", device=DEVICE, module=called, count=count, rate=METHOD_PER_S)
    return Block(latencies_ms=_spans_ms(times))


def cases(*, with_methods: bool) -> tuple[Case, ...]:
    """Return all cases; neighbours are what is compared with each other."""
    found = []
    for size, label in ((SMALL, "256 B"), (LARGE, "8 KiB")):
        for flavour in ("sync", "asyncio"):
            plain = f"{flavour}-plain"
            steady = f"{flavour}, {label}, {STEADY_PER_S:.0f}/s"
            found.append(Case(name=steady, module_set=plain, weight=1, run=latency(size)))
            fastest = f"{flavour}, {label}, flat out"
            found.append(Case(name=fastest, module_set=plain, weight=2.5, run=flat_out(size)))
    for flavour in ("sync", "asyncio"):
        for nagle in ("plain", "nodelay"):
            name, module_set = f"{flavour}, {nagle}", f"{flavour}-{nagle}"
            found.append(Case(name=f"chain, {name}", module_set=module_set, weight=0.3, run=chain))
            if with_methods:
                called = Case(name=f"method, {name}", module_set=module_set, weight=0.1, run=method)
                found.append(called)
    return tuple(found)


def open_set(
    cloud: BenchProcess, name: str, processes: Mapping[str, BenchProcess], *, with_methods: bool
) -> ModuleSet:
    """Connect the modules of a set and warm them up."""
    environments: dict[str, dict[str, str]] = cloud.ask("open_set", module_set=name)
    for role, process in processes.items():
        process.ask("open", environment=environments[role], relays=role == "r")
    modules = ModuleSet(name=name, a=processes["a"], r=processes["r"], b=processes["b"])
    for output in ("direct", "chain"):
        _messages(modules, output, WARM_UP, None, SMALL)
    if with_methods:
        method(modules, WARM_UP // 4)
    return modules


def _messages(modules: ModuleSet, output: str, count: int, rate: float | None, size: int) -> Block:
    modules.b.start("take", count=count)
    times = modules.a.ask("send", output=output, count=count, rate=rate, size=size)
    arrivals: list[list[int]] = modules.b.answer()
    numbers = sorted(number for number, _, _ in arrivals)
    if numbers != list(range(count)):
        raise BenchProcessError(
            f"{modules.name} {output}: {count} messages sent, {len(arrivals)} arrived, "
            f"{len(set(numbers))} of them different"
        )
    last_ns = max(arrived_ns for _, _, arrived_ns in arrivals)
    return Block(
        latencies_ms=tuple((arrived - due) / NS_PER_MS for _, due, arrived in arrivals),
        send_ms=_spans_ms(times),
        per_s=None if rate else count / ((last_ns - times[0]) / 1e9),
    )


def _spans_ms(times: list[Any]) -> tuple[float, ...]:
    """Return the spans of *times*, which are beginnings and ends in turn."""
    pairs = zip(times[::2], times[1::2], strict=True)
    return tuple((ended - began) / NS_PER_MS for began, ended in pairs)
