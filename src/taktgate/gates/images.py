"""The image gate: what would break an image build, found without a container engine."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from taktgate.contracts.codec import first_fault
from taktgate.gates.dockerfile import (
    Instruction,
    copied_from_context,
    is_in_context,
    read_dockerfile,
    without_defaults,
)

Platform = Annotated[str, Field(pattern=r"^(amd64|arm64v8)(\.[a-z0-9-]+)?$")]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Tag(_Strict):
    """The version of the image, and a Dockerfile for each platform."""

    version: Annotated[str, Field(pattern=r"^\d+\.\d+\.\d+$")]
    platforms: dict[Platform, str]


class Image(_Strict):
    """What the image is called and how it is built."""

    repository: Annotated[str, Field(pattern=r"^\$\{CONTAINER_REGISTRY_SERVER\}/[a-z0-9-]+$")]
    tag: Tag
    buildOptions: list[str]
    contextPath: Literal["../../"]


class ModuleFile(_Strict):
    """module.json, as iotedgedev reads it."""

    schema_version: Annotated[Literal["0.0.1"], Field(alias="$schema-version")]
    description: str
    image: Image
    language: Literal["python"]


def read_module_file(folder: Path) -> ModuleFile:
    """Return the module.json of a module's *folder*.

    Raises:
        ValueError: names the field that breaks its rule.
    """
    try:
        return ModuleFile.model_validate(json.loads((folder / "module.json").read_text("utf-8")))
    except ValidationError as error:
        raise first_fault(f"{folder.name}/module.json", error) from None


def dockerfiles_of(folder: Path) -> dict[str, tuple[Instruction, ...]]:
    """Return the instructions of each platform's Dockerfile."""
    platforms = read_module_file(folder).image.tag.platforms
    return {
        platform: read_dockerfile((folder / name).read_text("utf-8"))
        for platform, name in platforms.items()
    }


def faults_of(folder: Path, root: Path) -> list[str]:
    """Return what would break the images of the module in *folder*; *root* is the build context."""
    dockerfiles = dockerfiles_of(folder)
    ignore = (root / ".dockerignore").read_text("utf-8")
    faults = [
        f"{folder.name}: {platform}: {fault}"
        for platform, instructions in dockerfiles.items()
        for fault in _faults_in(instructions, root, ignore)
    ]
    if len({without_defaults(instructions) for instructions in dockerfiles.values()}) > 1:
        faults.append(f"{folder.name}: Dockerfiles differ in more than the defaults of ARG")
    return faults


def _faults_in(instructions: tuple[Instruction, ...], root: Path, ignore: str) -> Iterator[str]:
    for source in copied_from_context(instructions):
        if not (root / source).exists():
            yield f"COPY {source}: no such file"
        elif not is_in_context(source, ignore):
            yield f"COPY {source}: hidden by .dockerignore"
    entry = [i.value for i in instructions if i.keyword == "ENTRYPOINT"]
    if len(entry) != 1 or not entry[0].startswith("["):
        yield "needs one ENTRYPOINT in exec form, or SIGTERM never reaches Python"
    if not any(i.keyword == "USER" and not i.value.startswith("0") for i in instructions):
        yield "needs a USER other than root"
