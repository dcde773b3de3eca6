"""New models for the stations of a demo, heavy enough to be on their way for a while."""

import asyncio

from taktgate.bundle.targets import BundleFacts
from taktgate.standin.demo.deployments import APP_TAG, model_layer
from taktgate.standin.demo.power_plan import BALLAST_BYTES
from taktgate.standin.demo.samples import SampleLine
from taktgate.standin.demo.world import World
from taktgate.standin.faulty_models.bundles import development_key
from taktgate.standin.heavy_bundle import write_heavy


async def release_heavy(
    world: World, line: SampleLine, *, sample: str, version: str
) -> BundleFacts:
    """Release the *sample* version of the line's model again, as *version*; return its facts.

    Raises:
        BundleError: the sample is damaged.
    """
    path = world.cloud.directory / f"{version}.bundle"
    # The registry signs some megabytes: not on the loop that the cloud runs on.
    await asyncio.to_thread(
        write_heavy,
        line.bundle(sample),
        version=version,
        ballast_bytes=BALLAST_BYTES,
        key=development_key(),
        to=path,
    )
    facts = await asyncio.to_thread(world.registry.release, path)
    path.unlink()
    return facts


async def order_by_layer(
    world: World, line: SampleLine, *, version: str, order: str, rank: int
) -> None:
    """Order *version* of the line's model by a layered deployment; the highest *rank* wins."""
    await world.cloud.create_deployment(
        model_layer(
            model=line.model,
            version=version,
            order=order,
            target=f"tags.app='{APP_TAG}'",
            rank=rank,
        )
    )
