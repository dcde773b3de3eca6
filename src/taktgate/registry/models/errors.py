"""What can go wrong with models on the publishing side; each error has a short stable `reason`.

ModelError
├── DescriptionError    DESCRIPTION   the YAML description breaks a rule; names field and rule
├── ImagesError         IMAGES        a folder of labelled images is not as it must be
├── OnnxFileError       ONNX          the ONNX file cannot become a bundle
├── RuntimeFailedError  RUNTIME       ONNX Runtime refused the model or a run
├── DisagreementError   DISAGREEMENT  the model does not do what its description or source says
├── ToolchainError      TOOLCHAIN     this machine cannot compile for that device class
└── TraceError          TRACE         a registry cannot be read, or its metadata not be trusted
"""

from typing import ClassVar


class ModelError(Exception):
    """Nothing was written."""

    reason: ClassVar[str] = "MODEL"


class DescriptionError(ModelError):
    """The YAML description breaks a rule.

    Attributes:
        field: The field, dotted, empty for the document as a whole.
        rule: The rule that was broken.
    """

    reason: ClassVar[str] = "DESCRIPTION"

    def __init__(self, file: str, field: str, rule: str) -> None:
        super().__init__(f"{file} field {field}: {rule}" if field else f"{file}: {rule}")
        self.field = field
        self.rule = rule


class ImagesError(ModelError):
    """A folder of labelled images is not as it must be."""

    reason: ClassVar[str] = "IMAGES"


class OnnxFileError(ModelError):
    """The ONNX file cannot become a bundle."""

    reason: ClassVar[str] = "ONNX"


class RuntimeFailedError(ModelError):
    """ONNX Runtime refused the model or a run."""

    reason: ClassVar[str] = "RUNTIME"


class DisagreementError(ModelError):
    """The model does not do what its description or its source says."""

    reason: ClassVar[str] = "DISAGREEMENT"


class ToolchainError(ModelError):
    """This machine cannot compile for that device class."""

    reason: ClassVar[str] = "TOOLCHAIN"


class TraceError(ModelError):
    """A registry cannot be read, or its metadata not be trusted."""

    reason: ClassVar[str] = "TRACE"
