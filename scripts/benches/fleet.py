"""How fast a twin-only layer reaches light devices: on the devices, not in the hub.

Example: scripts/bench fleet --devices 1000 --json --samples fleet.jsonl

One process holds a local IoT Hub and the devices, each with four TLS connections to it. A layer is
created by the REST interface with azure-iot-hub. The clock runs from before that call until the
last device has got the new desired property, until the hub has acknowledged the last device's
report on it, and until it knows that the last device's model is confirmed; then comes the next
layer. The devices work without pause (no pull, no fetch, no trial): the hardest case.
"""

import argparse
import asyncio
import json
import math
import os
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from azure.iot.hub import IoTHubConfigurationManager
from azure.iot.hub.models import Configuration, ConfigurationContent

from taktgate.contracts.routes import INFERENCE, MODEL_STAGER
from taktgate.standin.azure.fleet.fleet import Fleet, FleetSettings
from taktgate.standin.azure.fleet.pace import AT_ONCE
from taktgate.standin.azure.json_types import JsonObject
from taktgate.standin.azure.loopback import free_loopback_network
from taktgate.standin.azure.world.cloud import LocalCloud

MODEL = "weld-seam"
REACHED_WITHIN_S = 30.0
MEMORY_WITHIN_MB = 1024.0
TIMEOUT_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One layer: seconds from the call that created it, by device."""

    created_s: float
    """When the hub's answer to the call was there."""
    desired_s: dict[str, float]
    reported_s: dict[str, float]
    confirmed_s: dict[str, float]


@dataclass(slots=True, kw_only=True)
class Arrivals:
    """Takes down when an order arrives on each device, and when its reports have arrived."""

    order: str = ""
    desired: dict[str, float] = field(default_factory=dict)
    reported: dict[str, float] = field(default_factory=dict)
    confirmed: dict[str, float] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def expect(self, order: str) -> None:
        """Begin anew."""
        self.order, self.desired, self.reported, self.confirmed = order, {}, {}, {}

    def desired_changed(self, device: str, module: str, document: JsonObject) -> None:
        """Take down a device's first sight of the order."""
        model = document.get("model")
        if module == MODEL_STAGER and isinstance(model, dict) and model.get("order") == self.order:
            self._note(self.desired, device)

    def report_taken(self, device: str, module: str, reported: JsonObject) -> None:
        """Take down the hub's first acknowledgement of each module's report on the order."""
        if module == MODEL_STAGER and reported.get("stager", {}).get("order") == self.order:
            self._note(self.reported, device)
        inspection = reported.get("inspection", {})
        if module == INFERENCE and inspection.get("confirmedOrder") == self.order:
            self._note(self.confirmed, device)

    async def complete(self, devices: int, progress: Callable[[str], None]) -> None:
        """Return when all devices have confirmed the order.

        Raises:
            TimeoutError: Some have not.
        """
        async with asyncio.timeout(TIMEOUT_S):
            while len(self.confirmed) < devices:
                await self.changed.wait()
                self.changed.clear()
        progress(f"{self.order}: confirmed by {len(self.confirmed)} devices")

    def _note(self, times: dict[str, float], device: str) -> None:
        times.setdefault(device, time.monotonic())
        self.changed.set()


def base_deployment() -> JsonObject:
    """Return what every device runs, in the shape that the REST interface takes."""
    module = {"type": "docker", "status": "running", "restartPolicy": "always", "version": "1.0"}
    agent = {
        "schemaVersion": "1.1",
        "runtime": {"type": "docker", "settings": {}},
        "systemModules": {},
        "modules": {
            name: {**module, "settings": {"image": f"example.io/{name}:1.0.0"}}
            for name in (INFERENCE, MODEL_STAGER)
        },
    }
    stager = {
        "model": {"name": MODEL, "version": "1.0.0", "order": "base"},
        "repository": "https://models.example",
    }
    return {
        "id": "base",
        "priority": 1,
        "targetCondition": "tags.app='qc'",
        "content": {
            "modulesContent": {
                "$edgeAgent": {"properties.desired": agent},
                MODEL_STAGER: {"properties.desired": stager},
            }
        },
    }


def create_layer(connection_string: str, number: int) -> None:
    """Create a layer that changes one desired property, with the unmodified service SDK."""
    manager = IoTHubConfigurationManager.from_connection_string(connection_string)
    order = {"name": MODEL, "version": f"{number + 1}.0.0", "order": f"order-{number}"}
    manager.create_configuration(
        Configuration(
            id=f"layer-{number}",
            schema_version="2.0",
            content=ConfigurationContent(
                modules_content={MODEL_STAGER: {"properties.desired.model": order}}
            ),
            target_condition="tags.app='qc'",
            priority=10 + number,
        )
    )


async def measure(options: argparse.Namespace, progress: Callable[[str], None]) -> JsonObject:
    """Bring the world up, create the layers one after the other, and return the figures."""
    arrivals = Arrivals()
    with tempfile.TemporaryDirectory() as directory:
        network = free_loopback_network()
        async with LocalCloud(Path(directory) / "cloud", address=network.address(1)) as cloud:
            os.environ["REQUESTS_CA_BUNDLE"] = str(cloud.ca_file)
            await cloud.create_deployment(base_deployment())
            fleet, connected_s = await connect(cloud, options.devices, arrivals, progress)
            rounds = [
                await run_round(cloud, number, options.devices, arrivals, progress)
                for number in range(1, options.rounds + 1)
            ]
            statistics = fleet.statistics()
    write_samples(options.samples, rounds)
    return {
        "devices": options.devices,
        "connections": statistics.connections,
        "connected_s": round(connected_s, 2),
        "rounds": [summary(each) for each in rounds],
        "peak_rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "cpu_s": round(time.process_time(), 1),
        "limits": {"reached_s": REACHED_WITHIN_S, "peak_rss_mb": MEMORY_WITHIN_MB},
    }


async def connect(
    cloud: LocalCloud, devices: int, arrivals: Arrivals, progress: Callable[[str], None]
) -> tuple[Fleet, float]:
    """Connect the devices and let their modules start; return the seconds that this took."""
    began_s = time.monotonic()
    arrivals.expect("base")
    tags: dict[str, JsonObject] = {f"station-{n:04d}": {"app": "qc"} for n in range(devices)}
    settings = FleetSettings(pace=AT_ONCE, observer=arrivals)
    fleet = await cloud.add_fleet(tags, settings=settings)
    progress(f"{devices} devices have connected after {time.monotonic() - began_s:.1f} s")
    await arrivals.complete(devices, progress)
    return fleet, time.monotonic() - began_s


async def run_round(
    cloud: LocalCloud,
    number: int,
    devices: int,
    arrivals: Arrivals,
    progress: Callable[[str], None],
) -> Round:
    """Create one layer and return when it arrived where."""
    arrivals.expect(f"order-{number}")
    began_s = time.monotonic()
    await asyncio.to_thread(create_layer, cloud.service_connection_string, number)
    created_s = time.monotonic()
    await arrivals.complete(devices, progress)
    return Round(
        created_s=created_s - began_s,
        desired_s={name: at_s - began_s for name, at_s in arrivals.desired.items()},
        reported_s={name: at_s - began_s for name, at_s in arrivals.reported.items()},
        confirmed_s={name: at_s - began_s for name, at_s in arrivals.confirmed.items()},
    )


def summary(each: Round) -> JsonObject:
    """Return the figures of one round, in seconds."""
    return {
        "created_s": round(each.created_s, 3),
        "desired": percentiles(list(each.desired_s.values())),
        "reported": percentiles(list(each.reported_s.values())),
        "confirmed": percentiles(list(each.confirmed_s.values())),
    }


def percentiles(samples: list[float]) -> JsonObject:
    """Return nearest-rank percentiles of *samples* and their number."""
    ordered = sorted(samples)
    ranks = {"p50": 0.5, "p90": 0.9, "p99": 0.99, "last": 1.0}
    return {
        "n": len(ordered),
        **{
            name: round(ordered[math.ceil(share * len(ordered)) - 1], 3)
            for name, share in ranks.items()
        },
    }


def write_samples(path: Path | None, rounds: list[Round]) -> None:
    """Keep the raw samples, a line of JSON for each device and round."""
    if path is None:
        return
    lines = [
        json.dumps({"round": number, "device": name, **times})
        for number, each in enumerate(rounds, start=1)
        for name, times in by_device(each).items()
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def by_device(each: Round) -> dict[str, JsonObject]:
    """Return a round's samples by device."""
    return {
        name: {
            "desired_s": round(at_s, 6),
            "reported_s": round(each.reported_s[name], 6),
            "confirmed_s": round(each.confirmed_s[name], 6),
        }
        for name, at_s in each.desired_s.items()
    }


def beyond(figures: JsonObject) -> list[str]:
    """Return what is beyond the line, in words."""
    worst_s = max(each["desired"]["last"] for each in figures["rounds"])
    faults = []
    if worst_s > REACHED_WITHIN_S:
        faults.append(f"the last device was reached after {worst_s} s, line {REACHED_WITHIN_S} s")
    if figures["peak_rss_mb"] > MEMORY_WITHIN_MB:
        faults.append(f"peak memory {figures['peak_rss_mb']} MB, line {MEMORY_WITHIN_MB} MB")
    return faults


def as_text(figures: JsonObject) -> str:
    """Return the figures for a person."""
    lines = [
        f"{figures['devices']} devices, {figures['connections']} connections, "
        f"all on their first model after {figures['connected_s']} s",
        "seconds from the call    n      p50     p90     p99     last",
    ]
    for number, each in enumerate(figures["rounds"], start=1):
        for name in ("desired", "reported", "confirmed"):
            row = each[name]
            numbers = "".join(f"{row[key]:8.3f}" for key in ("p50", "p90", "p99", "last"))
            lines.append(f"round {number} {name:<12}{row['n']:>6}{numbers}")
    lines.append(f"peak memory {figures['peak_rss_mb']} MB, CPU {figures['cpu_s']} s")
    return "\n".join(lines)


def options_from(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/bench fleet",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--devices", type=positive, default=1000, help="light devices (1000)")
    parser.add_argument("--rounds", type=positive, default=3, help="layers, one by one (3)")
    parser.add_argument("--samples", type=Path, help="write the raw samples here, JSON lines")
    parser.add_argument("--json", action="store_true", help="one line of JSON on stdout")
    return parser.parse_args(arguments)


def positive(text: str) -> int:
    """Return a number above 0."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def main(arguments: list[str] | None = None) -> int:
    """Measure, print, and say whether it is within the line."""
    options = options_from(arguments)
    figures = asyncio.run(measure(options, lambda line: print(line, file=sys.stderr, flush=True)))
    faults = beyond(figures)
    figures["beyond"] = faults
    print(json.dumps(figures) if options.json else as_text(figures))
    for fault in faults:
        print(f"beyond the line: {fault}", file=sys.stderr)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
