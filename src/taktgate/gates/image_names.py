"""Say what each module's image is called and built from: `python -m taktgate.gates.image_names`."""

import sys
from collections.abc import Iterator
from pathlib import Path

from taktgate.gates.images import read_module_file


def images_for(platform: str, *, registry: str, modules: Path) -> Iterator[tuple[str, Path]]:
    """Yield image and Dockerfile of each module that has *platform*, named as iotedgedev does."""
    for file in sorted(modules.glob("*/module.json")):
        image = read_module_file(file.parent).image
        if platform in image.tag.platforms:
            repository = image.repository.replace("${CONTAINER_REGISTRY_SERVER}", registry).lower()
            dockerfile = file.parent / image.tag.platforms[platform]
            yield f"{repository}:{image.tag.version}-{platform}", dockerfile


if __name__ == "__main__":
    for name, dockerfile in images_for(sys.argv[2], registry=sys.argv[1], modules=Path("modules")):
        sys.stdout.write(f"{name} {dockerfile}\n")
