"""From a deployment's name and version to artifacts, source models, and their first parent."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from tuf.api.metadata import TargetFile

from taktgate.bundle.errors import BundleError
from taktgate.bundle.source import SourceModel
from taktgate.bundle.targets import BundleFacts, source_path
from taktgate.registry.models.errors import TraceError
from taktgate.registry.models.trusted import TrustedRegistry

GENERATIONS_LIMIT: Final = 1000
_MODEL: Final = "/model.onnx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Generation:
    """A source model, or the hole where one should be.

    Attributes:
        name: How it is called: a digest where nobody knows more.
        source: None in a hole.
        hole: Why the way ends here, empty where it does not.
    """

    name: str
    source: SourceModel | None
    hole: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One artifact, and where it comes from: its source first, the oldest known last."""

    facts: BundleFacts
    ancestry: tuple[Generation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """What stands behind a name and version."""

    name: str
    version: str
    lines: tuple[Line, ...]

    @property
    def is_whole(self) -> bool:
        """Tell whether every way leads to a first source model."""
        return not any(each.hole for line in self.lines for each in line.ancestry)


def trace(registry: TrustedRegistry, wanted: str) -> Trace:
    """Return what stands behind *wanted*, a VERSION or NAME/VERSION.

    Raises:
        TraceError: There is no such bundle, several names have that version, or metadata or facts
            are not to be trusted.
    """
    name, _, version = wanted.rpartition("/")
    found = [
        facts
        for facts in _all_facts(registry)
        if facts.version == version and name in ("", facts.name)
    ]
    names = sorted({facts.name for facts in found})
    if not names:
        raise TraceError(f"{wanted}: the registry has no such bundle")
    if len(names) > 1:
        ways = ", ".join(f"{each}/{version}" for each in names)
        raise TraceError(f"{wanted}: must be said with a name: {ways}")
    sources = _Sources(registry)
    lines = tuple(
        Line(facts=facts, ancestry=sources.ancestry(facts.source_digest)) for facts in found
    )
    return Trace(name=names[0], version=version, lines=lines)


class _Sources:
    """The source models of a registry."""

    def __init__(self, registry: TrustedRegistry) -> None:
        self._registry = registry
        self._targets: Mapping[str, TargetFile] = registry.sources()
        self._by_digest = {
            f"sha256:{target.hashes.get('sha256', '')}": path.removesuffix(_MODEL).split("/")[1:]
            for path, target in self._targets.items()
            if path.endswith(_MODEL)
        }

    def ancestry(self, digest: str) -> tuple[Generation, ...]:
        """Return the source model with *digest* and those it was trained on from."""
        if digest not in self._by_digest:
            hole = "not traceable: no source model with this digest is in the registry"
            return (Generation(name=digest, source=None, hole=hole),)
        name, version = self._by_digest[digest]
        line = [self._generation(name, version, digest)]
        while (source := line[-1].source) is not None and source.parent is not None:
            if len(line) >= GENERATIONS_LIMIT or source.parent in _versions(line):
                hole = "not traceable: it is its own ancestor"
                return (*line, Generation(name=source.parent, source=None, hole=hole))
            line.append(self._generation(name, source.parent, None))
        return tuple(line)

    def _generation(self, name: str, version: str, digest: str | None) -> Generation:
        label = f"{name} {version}"
        target = self._targets.get(source_path(name, version, "source.json"))
        if target is None:
            hole = "not traceable: this source model is not in the registry"
            return Generation(name=label, source=None, hole=hole)
        try:
            source = SourceModel.parse(self._registry.read(target))
        except BundleError as error:
            return Generation(name=label, source=None, hole=f"not traceable: {error}")
        model = self._targets.get(source_path(name, version, "model.onnx"))
        signed = f"sha256:{model.hashes.get('sha256')}" if model else None
        if source.digest != signed or (source.name, source.version) != (name, version):
            hole = "not traceable: source.json speaks of another model"
            return Generation(name=label, source=None, hole=hole)
        assert digest in (None, signed)
        return Generation(name=label, source=source)


def _versions(line: list[Generation]) -> set[str]:
    return {each.source.version for each in line if each.source is not None}


def _all_facts(registry: TrustedRegistry) -> list[BundleFacts]:
    return [
        _facts(target)
        for device_class in registry.device_classes
        for path, target in sorted(registry.bundles(device_class).items())
        if path.startswith("bundles/")
    ]


def _facts(target: TargetFile) -> BundleFacts:
    try:
        return BundleFacts.from_custom(target.custom)
    except BundleError as error:
        raise TraceError(f"{target.path}: {error}") from error
