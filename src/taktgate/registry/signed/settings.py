"""`registry.json`: what a registry's publishers have agreed on. No secret, and not published."""

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from tuf.api.metadata import Root, Snapshot, Timestamp

from taktgate.registry.errors import SettingsFileError

SETTINGS_FILE: Final = "registry.json"
Days = Annotated[int, Field(ge=1, le=3650)]


class DaysValid(BaseModel):
    """For how many days metadata is trusted after it was signed.

    An expiry never stops a line: the live model judges on, and a boot needs no registry. It stops
    a station from taking anything new, so it bounds for how long whoever holds a registry's server,
    or cuts it off, can hide a revocation (a freeze attack).

    Attributes:
        root: Signed by people with keys from a safe, so once a year is what can be asked of them.
        targets: Of the targets role and of those it delegates to: keys of a workstation.
        snapshot: Signed by the same machine as the timestamp, which guards freshness; a month lets
            one be replaced without haste.
        timestamp: A job renews it each night. A week bridges a long weekend on which that job is
            broken; a day would turn a broken night into an alarm of every station.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    root: Days = 365
    targets: Days = 365
    snapshot: Days = 30
    timestamp: Days = 7

    def of(self, role: str) -> int:
        """Return the days for *role*; a delegated role is as the targets role."""
        top_level = {
            Root.type: self.root,
            Snapshot.type: self.snapshot,
            Timestamp.type: self.timestamp,
        }
        return top_level.get(role, self.targets)


class RegistrySettings(BaseModel):
    """The content of `registry.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    schema_version: Literal["1"] = Field(alias="schema", default="1")
    days_valid: DaysValid = DaysValid()

    @classmethod
    def read(cls, registry: Path) -> Self:
        """Return the settings of the registry in the folder *registry*; defaults without a file.

        Raises:
            SettingsFileError: the file breaks a rule; names the field.
            OSError: it cannot be read.
        """
        file = registry / SETTINGS_FILE
        if not file.exists():
            return cls()
        try:
            return cls.model_validate_json(file.read_bytes())
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            field = ".".join(map(str, first["loc"])) or "document"
            raise SettingsFileError(f"{file}: {field}: {first['msg']}") from error

    def to_bytes(self) -> bytes:
        """Return the file."""
        return (self.model_dump_json(by_alias=True, indent=2) + "\n").encode()
