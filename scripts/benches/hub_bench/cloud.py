"""The process of the local cloud: one device, and for each set three modules with their routes.

    cloud.py DIRECTORY [PROFILE]

With a file for it, the thread of hub and edgeHub is profiled. In a set, `a` sends to `b` directly
and through `r`, which receives and then sends.
"""

import cProfile
import sys
from pathlib import Path
from typing import Any

from benches.hub_bench.process import serve

from taktgate.standin.azure.edgeagent.process_images import ProcessImages
from taktgate.standin.azure.loopback import free_loopback_network
from taktgate.standin.azure.world.cloud_thread import CloudThread
from taktgate.standin.azure.world.local_device import LocalDevice

DEVICE = "bench"
HOPS = (("a", "direct", "b"), ("a", "chain", "r"), ("r", "out", "b"))


def routes_of(module_set: str) -> dict[str, str]:
    """Return the routes of one set of modules, by name."""
    return {
        f"{module_set}-{output}": f"FROM /messages/modules/{module_set}-{source}/outputs/{output} "
        f'INTO BrokeredEndpoint("/modules/{module_set}-{target}/inputs/in")'
        for source, output, target in HOPS
    }


class Cloud:
    """What the bench may ask the cloud."""

    def __init__(self, world: CloudThread, device: LocalDevice) -> None:
        self._world = world
        self._device = device

    def open_set(self, module_set: str) -> dict[str, dict[str, str]]:
        """Set the routes of a set; return each module's environment."""
        desired = {"schemaVersion": "1.2", "routes": routes_of(module_set)}
        change: dict[str, Any] = {"properties": {"desired": desired}}
        self._world.call(self._world.cloud.hub.change_twin, DEVICE, "$edgeHub", change)
        environment = self._device.environment
        return {
            role: self._world.run(environment(f"{module_set}-{role}")) for role in ("a", "r", "b")
        }

    def methods_refusal(self) -> str | None:
        """Return why modules cannot call each other's methods here, or None."""
        return self._device.edgehub.methods_refusal


def main() -> None:
    """Serve until nothing more is asked."""
    network = free_loopback_network()
    with CloudThread(Path(sys.argv[1]), address=network.address(1), hub_port=0) as world:
        images = ProcessImages(commands={})
        adding = world.cloud.add_device(DEVICE, gateway=network.address(2), images=images)
        profile = cProfile.Profile()
        words = Cloud(world, world.run(adding))
        if len(sys.argv) > 2:
            world.call(profile.enable)
        serve(words)
        if len(sys.argv) > 2:
            world.call(profile.disable)
            profile.dump_stats(sys.argv[2])


if __name__ == "__main__":
    main()
