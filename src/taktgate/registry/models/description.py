"""What only a person can say of a model: names, lines, origin. Everything else is measured."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import Field

from taktgate.bundle.errors import ManifestError
from taktgate.bundle.manifest import (
    DefectClass,
    ModelOutputs,
    Name,
    Part,
    Share,
    Text,
    UncertainBand,
    parse_document,
)
from taktgate.bundle.reading import read_small
from taktgate.bundle.source import TrainingData
from taktgate.registry.models.errors import DescriptionError

_LIMIT_BYTES: Final = 1 << 16
_OUTPUTS: Final = ModelOutputs(score="scores", class_scores="class_scores")


class Feeding(Part):
    """How a frame becomes the input; width and height are those of the ONNX file."""

    resample: Literal["bilinear", "none"]
    channels: Literal["grey_to_rgb", "rgb"]
    scale: Literal["in_graph"] | Annotated[float, Field(gt=0.0)]


class Tools(Part):
    """What exported the model, as far as the ONNX file does not say it itself."""

    torch: Text
    onnx: Text


class TestImages(Part):
    """What the images are that the claims are measured on."""

    __test__ = False  # not a test, whatever pytest makes of its name

    dataset: Annotated[Text, Field(min_length=1)]
    licence: Annotated[Text, Field(min_length=1)]
    split_method: Annotated[Text, Field(min_length=1)]


class Origin(Part):
    """Where the model comes from: what source.json will say."""

    training_data: TrainingData
    commit: Annotated[str, Field(pattern=r"^[0-9a-f]{7,64}$")]
    parent: Name | None
    approver: Annotated[Text, Field(min_length=1, max_length=200)]


class Description(Part):
    """The YAML file beside a trained ONNX.

    Attributes:
        golden_tolerance: How far a station's score of a golden image may be off.
        machine: What the latency is measured on, in words; by default what can be found out.
    """

    name: Name
    version: Name
    licence: Annotated[Text, Field(min_length=1, max_length=200)]
    device_class: Name
    toolchain: Tools
    preprocessing: Feeding
    outputs: ModelOutputs = _OUTPUTS
    threshold: Share
    uncertain_band: UncertainBand
    classes: Annotated[tuple[DefectClass, ...], Field(min_length=1, max_length=64)]
    golden_tolerance: Annotated[float, Field(gt=0.0, le=0.5)] = 0.02
    test_images: TestImages
    origin: Origin
    machine: Text | None = None


def load_description(path: Path) -> Description:
    """Return the description in the YAML file *path*.

    Raises:
        ArchiveError: It cannot be read or is too large.
        DescriptionError: It is no YAML, or a field breaks a rule; names field and rule.
    """
    try:
        document = yaml.safe_load(read_small(path, limit_bytes=_LIMIT_BYTES))
        data = json.dumps(document, default=_refuse).encode()
        return parse_document(Description, data, limit_bytes=1 << 20)
    except ManifestError as error:
        raise DescriptionError(path.name, error.field, error.rule) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        said = " ".join(str(error).split())[:300]
        raise DescriptionError(path.name, "", f"must be YAML: {said}") from error


def _refuse(value: Any) -> Any:
    raise ValueError(f"{value!s} reads as a {type(value).__name__}; put it in quotes")
