"""The hub's memory on disk: a SQLite file that holds what was answered, also after a kill -9.

One row for each device, module, configuration, policy and set of deployment content. A request's
changes are one transaction, committed before its answer leaves. Write-ahead logging without a sync
for each commit: it survives the end of the process, though not always that of the machine.
"""

import base64
import json
import sqlite3
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from taktgate.standin.azure.errors import HubStoreError
from taktgate.standin.azure.iothub import query_language
from taktgate.standin.azure.iothub.configurations import Configuration
from taktgate.standin.azure.iothub.device_management import Deployment, TargetSet
from taktgate.standin.azure.iothub.identities import Authentication, Identity
from taktgate.standin.azure.iothub.policies import PolicyKeys
from taktgate.standin.azure.iothub.twin_sections import TwinSection
from taktgate.standin.azure.json_types import JsonObject

SCHEMA_VERSION = 1
_SCHEMA = """
CREATE TABLE identities (device TEXT, module TEXT, document TEXT NOT NULL, targets TEXT,
                         PRIMARY KEY (device, module)) WITHOUT ROWID;
CREATE TABLE targets (digest TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE configurations (id TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE policies (name TEXT PRIMARY KEY, document TEXT NOT NULL) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredHub:
    """What a store holds."""

    identities: list[Identity] = field(default_factory=list)
    targets: dict[str, TargetSet] = field(default_factory=dict)
    """By device."""
    configurations: list[Configuration] = field(default_factory=list)
    policies: dict[str, PolicyKeys] = field(default_factory=dict)


class HubStore:
    """A hub's file. To be used by one hub at a time."""

    def __init__(self, path: Path) -> None:
        """Open the file, or begin a new one.

        Raises:
            HubStoreError: The file is something else.
        """
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._known_targets: set[str] = set()
        try:
            self._prepare()
        except (sqlite3.DatabaseError, HubStoreError) as error:
            self._database.close()
            raise HubStoreError(f"{path} cannot be read as a hub's store: {error}") from error

    def __enter__(self) -> Self:
        """Return the store."""
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the file; everything is in it already."""
        self._database.close()

    def load(self) -> StoredHub:
        """Return what was saved.

        Raises:
            HubStoreError: A row cannot be read.
        """
        try:
            return self._load()
        except (sqlite3.DatabaseError, ValueError, KeyError, TypeError) as error:
            raise HubStoreError(f"{self.path} cannot be read as a hub's store: {error}") from error

    def save(
        self,
        *,
        changed: Iterable[tuple[Identity, TargetSet | None]] = (),
        removed: Iterable[tuple[str, str | None]] = (),
    ) -> None:
        """Write identities (a device's with what its deployments gave it) and removals.

        Raises:
            HubStoreError: There is no room; nothing was written.
        """
        try:
            self._save(changed, removed)
        except sqlite3.OperationalError as error:
            raise HubStoreError(f"{self.path}: {error}") from error

    def _save(
        self,
        changed: Iterable[tuple[Identity, TargetSet | None]],
        removed: Iterable[tuple[str, str | None]],
    ) -> None:
        with _Transaction(self._database):
            self._database.executemany(
                "DELETE FROM identities WHERE device = ? AND module = ?",
                [(device, module or "") for device, module in removed],
            )
            rows = []
            for identity, targets in changed:
                self._save_targets(targets)
                document = json.dumps(_identity_document(identity))
                key = (identity.device_id, identity.module_id or "")
                rows.append((*key, document, targets.digest if targets else None))
            self._database.executemany("REPLACE INTO identities VALUES (?, ?, ?, ?)", rows)

    def save_configuration(self, configuration: Configuration) -> None:
        """Write a configuration."""
        document = json.dumps(_configuration_document(configuration))
        self._database.execute(
            "REPLACE INTO configurations VALUES (?, ?)", (configuration.deployment.id, document)
        )

    def remove_configuration(self, config_id: str) -> None:
        """Remove a configuration."""
        self._database.execute("DELETE FROM configurations WHERE id = ?", (config_id,))

    def save_policy(self, name: str, keys: PolicyKeys) -> None:
        """Write a policy's keys."""
        document = json.dumps({name: _base64(key) for name, key in asdict(keys).items()})
        self._database.execute("REPLACE INTO policies VALUES (?, ?)", (name, document))

    def _prepare(self) -> None:
        self._database.execute("PRAGMA journal_mode = WAL")
        self._database.execute("PRAGMA synchronous = NORMAL")
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        (tables,) = self._database.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
        if version == 0 and not tables:
            self._database.executescript(
                f"BEGIN;{_SCHEMA}PRAGMA user_version = {SCHEMA_VERSION};COMMIT;"
            )
        elif version != SCHEMA_VERSION:
            raise HubStoreError(f"version {version}; rule: {SCHEMA_VERSION}")

    def _load(self) -> StoredHub:
        sets = {
            digest: TargetSet.from_json(json.loads(document))
            for digest, document in self._database.execute("SELECT digest, document FROM targets")
        }
        self._known_targets = set(sets)
        stored = StoredHub()
        for document, digest in self._database.execute("SELECT document, targets FROM identities"):
            identity = _identity(json.loads(document))
            stored.identities.append(identity)
            if digest is not None:
                stored.targets[identity.device_id] = sets[digest]
        for (document,) in self._database.execute("SELECT document FROM configurations"):
            stored.configurations.append(_configuration(json.loads(document)))
        for name, document in self._database.execute("SELECT name, document FROM policies"):
            keys = {kind: base64.b64decode(key) for kind, key in json.loads(document).items()}
            stored.policies[name] = PolicyKeys(**keys)
        return stored

    def _save_targets(self, targets: TargetSet | None) -> None:
        if targets is not None and targets.digest not in self._known_targets:
            self._database.execute(
                "INSERT OR IGNORE INTO targets VALUES (?, ?)",
                (targets.digest, json.dumps(targets.to_json())),
            )
            self._known_targets.add(targets.digest)


class _Transaction:
    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def __enter__(self) -> None:
        self._database.execute("BEGIN IMMEDIATE")

    def __exit__(self, exc_type: type[BaseException] | None, *_: object) -> None:
        self._database.execute("COMMIT" if exc_type is None else "ROLLBACK")


def _base64(key: bytes) -> str:
    return base64.b64encode(key).decode("ascii")


def _identity_document(identity: Identity) -> JsonObject:
    document: JsonObject = {
        name: getattr(identity, name)
        for name in Identity.__dataclass_fields__
        if name not in ("authentication", "desired_section", "reported_section", "is_connected")
    }
    document["authentication"] = asdict(identity.authentication)
    for name in ("desired_section", "reported_section"):
        section: TwinSection = getattr(identity, name)
        document[name] = {
            "value": section.value,
            "metadata": section.metadata,
            "version": section.version,
        }
    return document


def _identity(document: JsonObject) -> Identity:
    fields: dict[str, Any] = dict(document)
    fields["parent_scopes"] = tuple(fields["parent_scopes"])
    fields["authentication"] = Authentication(**fields["authentication"])
    for name in ("desired_section", "reported_section"):
        fields[name] = TwinSection(**fields[name])
    return Identity(**fields)


def _configuration_document(configuration: Configuration) -> JsonObject:
    deployment = configuration.deployment
    return {
        "id": deployment.id,
        "priority": deployment.priority,
        "created": deployment.created,
        "content": deployment.modules_content,
        "target_condition": configuration.target_condition,
        "labels": configuration.labels,
        "schema_version": configuration.schema_version,
        "metric_queries": configuration.metric_queries,
        "number": configuration.number,
        "created_at": configuration.created_at,
        "updated_at": configuration.updated_at,
    }


def _configuration(document: JsonObject) -> Configuration:
    fields: dict[str, Any] = dict(document)
    return Configuration(
        deployment=Deployment(
            id=fields.pop("id"),
            priority=fields.pop("priority"),
            created=fields.pop("created"),
            condition=query_language.parse_target_condition(fields["target_condition"]),
            modules_content=fields.pop("content"),
        ),
        **fields,
    )
