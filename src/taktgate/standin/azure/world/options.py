"""The files and words that `world up` is given, checked."""

import json
import re
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from taktgate.contracts.codec import ContractError, Name, adapter, parse
from taktgate.standin.azure.errors import WorldSetupError
from taktgate.standin.azure.iothub.device_management import is_layered
from taktgate.standin.azure.json_types import JsonObject
from taktgate.standin.azure.world.setup import DEFAULT_TAGS, Images, WishedDevice

BASE_PRIORITY, LAYER_PRIORITY = 10, 20
EVERYBODY: Final = "*"
REST_RING: Final = "broad"
MAX_LIGHT_DEVICES: Final = 10_000
_TAG: Final = re.compile(r"[A-Za-z0-9_-]+")
_NETWORK: Final = re.compile(r"127\.(\d{1,3})\.(\d{1,3})")


def parse_device(text: str) -> WishedDevice:
    """Return the device in `NAME` or `NAME:tag=value,tag=value`.

    Raises:
        WorldSetupError: Name or tags break a rule.
    """
    name, _, tail = text.partition(":")
    try:
        adapter(Name).validate_python(name)
    except ValueError:
        raise WorldSetupError(
            f"--edge-device {text!r}; rule: a name of letters, digits, '.', '_' and '-'"
        ) from None
    tags = dict(DEFAULT_TAGS)
    for part in tail.split(",") if tail else ():
        key, is_given, value = part.partition("=")
        if not is_given or not _TAG.fullmatch(key):
            raise WorldSetupError(f"--edge-device {text!r}; rule: NAME:tag=value,tag=value")
        tags[key] = value
    return WishedDevice(name=name, tags=tags)


def parse_rings(devices: int, rings: Sequence[str]) -> dict[str, int]:
    """Return how many light devices each ring has; the rest is in ring `broad`.

    Args:
        devices: How many light devices there are.
        rings: Texts of the form `RING=COUNT`.

    Raises:
        WorldSetupError: A count breaks a rule, or the rings hold more devices than there are.
    """
    if not 0 <= devices <= MAX_LIGHT_DEVICES:
        raise WorldSetupError(f"--devices {devices}; rule: within 0..{MAX_LIGHT_DEVICES}")
    counts: dict[str, int] = {}
    for text in rings:
        name, _, count = text.partition("=")
        if not _TAG.fullmatch(name) or not count.isdecimal():
            raise WorldSetupError(f"--ring {text!r}; rule: RING=COUNT")
        counts[name] = counts.get(name, 0) + int(count)
    rest = devices - sum(counts.values())
    if rest < 0:
        raise WorldSetupError(f"--ring: {devices - rest} devices in rings; rule: at most --devices")
    if rest:
        counts[REST_RING] = counts.get(REST_RING, 0) + rest
    return counts


def parse_network(text: str) -> str:
    """Return the network `127.A.B`.

    Raises:
        WorldSetupError: It is none.
    """
    match = _NETWORK.fullmatch(text)
    if match is None or any(int(number) > 255 for number in match.groups()):
        raise WorldSetupError(f"--network {text!r}; rule: 127.A.B, numbers within 0..255")
    return text


def read_images(path: Path) -> Images:
    """Return the commands that stand in for images: a JSON object of name -> command.

    A command is a list of words, or one text that is split as a shell would.

    Raises:
        WorldSetupError: The file cannot be read or breaks a rule.
    """
    document = _read_json(path, "--images")
    if not isinstance(document, Mapping):
        raise WorldSetupError(f"--images {path}; rule: an object of image name -> command")
    try:
        split = {
            name: shlex.split(command) if isinstance(command, str) else command
            for name, command in document.items()
        }
        return parse(Images, split)  # type: ignore[type-abstract]
    except ContractError as error:
        raise WorldSetupError(f"--images {path}: {error.field}: {error.rule}") from error
    except ValueError as error:
        raise WorldSetupError(f"--images {path}: {error}") from error


def read_deployments(path: Path) -> list[JsonObject]:
    """Return the deployments in a file, each as the hub's REST interface takes it.

    The file holds one document or a list of them: a whole deployment (`id`, `content`,
    `targetCondition`, `priority`), or content alone, as `az iot edge deployment create --content`
    takes it. Content alone gets the file's name as its id and every IoT Edge device as its target.

    Raises:
        WorldSetupError: The file cannot be read, or a document is neither of them.
    """
    document = _read_json(path, "--deployment")
    documents = document if isinstance(document, list) else [document]
    return [_whole_deployment(each, path) for each in documents]


def _whole_deployment(document: Any, path: Path) -> JsonObject:
    if not isinstance(document, dict):
        raise WorldSetupError(f"--deployment {path}; rule: an object, or a list of objects")
    if "$schema-template" in document:
        raise WorldSetupError(
            f"--deployment {path} is a template; rule: expand it first, for example with "
            "`iotedgedev solution genconfig`"
        )
    if "id" in document:
        return document
    content = document.get("content", document)
    modules = content.get("modulesContent") if isinstance(content, dict) else None
    if not isinstance(modules, dict) or not all(isinstance(m, dict) for m in modules.values()):
        raise WorldSetupError(f"--deployment {path}; rule: it has `id`, or `modulesContent`")
    return {
        "id": re.sub(r"[^a-z0-9-]", "-", path.stem.lower()),
        "schemaVersion": "2.0",
        "labels": {},
        "content": {"modulesContent": modules},
        "targetCondition": EVERYBODY,
        "priority": LAYER_PRIORITY if is_layered(modules) else BASE_PRIORITY,
        "metrics": {"queries": {}},
    }


def _read_json(path: Path, option: str) -> Any:
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise WorldSetupError(f"{option} {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise WorldSetupError(f"{option} {path} is not JSON: {error}") from error
