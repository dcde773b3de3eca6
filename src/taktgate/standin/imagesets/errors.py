"""What can be wrong with a set of images.

ImageSetError
├── ImageSetUnavailableError   the set is not on this machine
└── LabelFileError             the labels file breaks a rule; names line and rule
"""

from __future__ import annotations

from pathlib import Path


class ImageSetError(Exception):
    """A set of images cannot be used."""


class ImageSetUnavailableError(ImageSetError):
    """The images are not installed here."""


class LabelFileError(ImageSetError):
    """A labels file breaks a rule.

    Attributes:
        file: The labels file.
        line: The line of the breach, counted from 1.
        rule: The rule that was broken.
    """

    def __init__(self, file: Path, line: int, rule: str) -> None:
        super().__init__(f"{file} line {line}: {rule}")
        self.file = file
        self.line = line
        self.rule = rule
