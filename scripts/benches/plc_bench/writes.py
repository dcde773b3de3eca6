"""How long a write takes, client by client, and how many requests it is."""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from benches.hub_bench.process import BenchProcess
from benches.hub_bench.verdict import percentile
from benches.plc_bench.clients import OPENERS
from benches.plc_bench.figures import (
    NS_PER_US,
    Figures,
    Interval,
    Line,
    figures,
    interval,
    pooled,
)
from benches.plc_bench.measuring import ECHO
from benches.plc_bench.relay import Relay

RAW: Final = "raw packet"
RATIOS: Final = {"cached backend": 1.2, "pycomm3 backend": 3.2}
"""At the median, of the raw packet of the same request."""
WARM_UP: Final = 100
MOST_RESULTS: Final = 8

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Writes:
    """The samples by case and round, and what was counted by case and number of results."""

    samples_us: Mapping[str, Mapping[int, list[float]]]
    requests: Mapping[str, Mapping[int, float]]
    """Requests for each write, as they passed the relay."""
    request_bytes: Mapping[str, float]
    """Of a write of one result and the status."""


def measure(
    client: BenchProcess,
    echo: BenchProcess,
    controller: tuple[str, int],
    *,
    rounds: int,
    count: int,
    say: Say,
) -> Writes:
    """Count the requests, then take *count* samples of each case, *rounds* times over."""
    requests, sizes = _count(client, controller, say)
    cases = _open(client, echo, controller)
    for case in cases:
        client.ask("run", name=case, count=max(WARM_UP, count // 10), results=1)
    client.ask("settle")
    samples: dict[str, dict[int, list[float]]] = {case: {} for case in cases}
    order = random.Random(1)  # noqa: S311 - an order, no secret
    for number in range(rounds):
        say(f"writes: round {number + 1} of {rounds}")
        for case in order.sample(cases, len(cases)):
            taken_ns = client.ask("run", name=case, count=count, results=1)
            samples[case][number] = [each / NS_PER_US for each in taken_ns]
    for case in OPENERS:
        client.ask("close", name=case)
    return Writes(samples_us=samples, requests=requests, request_bytes=sizes)


def all_figures(writes: Writes) -> list[Figures]:
    """Return the figures of each case."""
    return [
        figures(case, pooled(rounds, tuple(rounds))) for case, rounds in writes.samples_us.items()
    ]


def ratios(writes: Writes) -> dict[str, Interval]:
    """Return each case's median in medians of the raw packet, with its interval."""
    raw = writes.samples_us[RAW]

    def ratio_of(rounds: Mapping[int, list[float]]) -> Interval:
        return interval(
            tuple(rounds),
            lambda chosen: (
                percentile(pooled(rounds, chosen), 50) / percentile(pooled(raw, chosen), 50)
            ),
        )

    return {case: ratio_of(rounds) for case, rounds in writes.samples_us.items()}


def lines(writes: Writes) -> list[Line]:
    """Hold our own backends to their lines."""
    found = []
    measured = ratios(writes)
    for case, limit in RATIOS.items():
        if case not in measured:
            continue
        ratio = measured[case]
        found.append(
            Line(
                promise=f"{case}: p50 <= {limit} x the raw packet",
                measured=f"{ratio.figure:.2f} ({ratio.low:.2f}-{ratio.high:.2f})",
                kept=ratio.figure <= limit,
            )
        )
        requests = writes.requests[case]
        found.append(
            Line(
                promise=f"{case}: one request for 1..{MOST_RESULTS} results and the status",
                measured=" ".join(f"{each:g}" for each in requests.values()),
                kept=set(requests.values()) == {1.0},
            )
        )
    return found


def _count(
    client: BenchProcess, controller: tuple[str, int], say: Say
) -> tuple[dict[str, dict[int, float]], dict[str, float]]:
    """Return requests by case and results, and bytes by case, counted by a relay."""
    say("writes: counting requests")
    writes = 4
    requests: dict[str, dict[int, float]] = {}
    sizes: dict[str, float] = {}
    with Relay(controller) as relay:
        for case in OPENERS:
            requests[case] = {}
            client.ask("open", name=case, host=relay.address[0], port=relay.address[1])
            for results in range(1, MOST_RESULTS + 1):
                client.ask("run", name=case, count=1, results=results)
                before = relay.passed()
                client.ask("run", name=case, count=writes, results=results)
                passed = relay.passed().since(before)
                requests[case][results] = passed.requests / writes
                if results == 1:
                    sizes[case] = passed.request_bytes / writes
            client.ask("close", name=case)
    return requests, sizes


def _open(client: BenchProcess, echo: BenchProcess, controller: tuple[str, int]) -> list[str]:
    for case in OPENERS:
        client.ask("open", name=case, host=controller[0], port=controller[1])
    client.ask("run", name=RAW, count=1, results=1)
    host, port = echo.ask("address")
    client.ask("open_echo", host=host, port=port)
    return [ECHO, *OPENERS]
