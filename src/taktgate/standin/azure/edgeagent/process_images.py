"""Images as local programs: which command stands in for which image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from taktgate.standin.azure.errors import ManifestError


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessImages:
    """Maps an image's name (the last part of its path, without tag) to a command.

    The seam for modules as real containers: whoever runs images offers `command` another way.
    """

    commands: Mapping[str, Sequence[str]]

    def command(self, image: str) -> tuple[str, ...]:
        """Return the command for *image*.

        Raises:
            ManifestError: No command is known for the image.
        """
        name = image_name(image)
        try:
            return tuple(self.commands[name])
        except KeyError:
            known = ", ".join(sorted(self.commands))
            raise ManifestError(
                f"image {image!r} has no local command; rule: its name is one of {known}"
            ) from None


def image_name(image: str) -> str:
    """Return `inference` for `registry.example:5000/team/inference:1.2.0-amd64@sha256:...`."""
    return image.partition("@")[0].rpartition("/")[2].partition(":")[0]
