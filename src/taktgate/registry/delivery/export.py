"""A registry on a stick, for stations without a network. They read it as file:///media/..."""

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tuf.api.metadata import Metadata, Root, Snapshot, Targets

from taktgate.bundle.targets import BundleFacts, ReleaseState, class_role, report_path
from taktgate.registry.delivery.copies import FolderCopy, require_readable
from taktgate.registry.delivery.published import Published, StaticFile, published
from taktgate.registry.delivery.sending import Delivered, deliver
from taktgate.registry.errors import ExpiryError, NoSuchBundleError
from taktgate.registry.signed.repository import RegistryFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which released bundles go along; what is empty asks for nothing.

    Attributes:
        device_classes: Only for these.
        names: Only of these models.
        versions: Only these.
    """

    device_classes: Sequence[str] = ()
    names: Sequence[str] = ()
    versions: Sequence[str] = ()

    def holds(self, facts: BundleFacts) -> bool:
        """Tell whether the bundle of *facts* goes along."""
        wanted = (
            (self.device_classes, facts.device_class),
            (self.names, facts.name),
            (self.versions, facts.version),
        )
        is_wanted = all(not some or value in some for some, value in wanted)
        return is_wanted and facts.state is ReleaseState.RELEASED


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """What is on the stick, and until when stations take it."""

    delivered: Delivered
    bundles: tuple[BundleFacts, ...]
    expires: datetime.datetime


def export(
    files: RegistryFiles,
    folder: Path,
    *,
    selection: Selection,
    days_valid: int | None = None,
    on_file: Callable[[StaticFile], None] = lambda file: None,
) -> Exported:
    """Write all metadata and the selected targets to *folder*, and read them back.

    With *days_valid* the copy gets a timestamp of its own that lasts so long: a version that only
    the copy has. The registry's own goes past it, so that a station that used the copy can come
    back. A station that has seen the registry since takes no older copy.

    Raises:
        NoRegistryError: there is none.
        NoSuchBundleError: no released bundle is selected.
        KeyMissingError: the keys for a timestamp of its own are not at hand.
        ExpiryError: something else expires before that.
        DeliveryError: the copy is not complete.
    """
    state = published(files.path)
    bundles = _selected(state, selection)
    if days_valid is not None:
        state = _lasting(files, days_valid, {its.device_class for its in bundles.values()})
    paths = [*bundles, *_reports(state, list(bundles.values()))]
    delivered = deliver(state, FolderCopy(folder), paths=paths, on_file=on_file)
    require_readable(folder, root=state.roots[0].content, paths=paths)
    return Exported(delivered=delivered, bundles=tuple(bundles.values()), expires=_expires(state))


def _selected(state: Published, selection: Selection) -> dict[str, BundleFacts]:
    bundles = {
        path: BundleFacts.from_custom(target.custom)
        for path, target in state.targets.items()
        if path.startswith("bundles/")
    }
    chosen = {path: facts for path, facts in bundles.items() if selection.holds(facts)}
    if not chosen:
        raise NoSuchBundleError(f"no released bundle is selected, of {len(bundles)} in all")
    return chosen


def _reports(state: Published, bundles: list[BundleFacts]) -> list[str]:
    paths = [
        report_path(facts.device_class, digest)
        for facts in bundles
        for digest in (facts.hil_report, facts.ci_report)
        if digest is not None
    ]
    return [path for path in paths if path in state.targets]


def _lasting(files: RegistryFiles, days: int, device_classes: set[str]) -> Published:
    """Return what is published with a timestamp that lasts *days*."""
    until = files.clock() + datetime.timedelta(days=days)
    with files.change():
        for role in (Root.type, Targets.type, *map(class_role, sorted(device_classes))):
            expires = files.open(role).signed.expires
            if expires < until:
                raise ExpiryError(
                    f"role {role} expires on {expires:%Y-%m-%d}, before the day asked for; "
                    f"renew it first, or ask for fewer days"
                )
        if files.open(Snapshot.type).signed.expires < until:
            files.sign_lasting(Snapshot.type, days)
            files.publish()
        timestamp = files.timestamp_apart(days)
    return replace(published(files.path), timestamp=timestamp)


def _expires(state: Published) -> datetime.datetime:
    documents = [state.timestamp, state.roots[-1].content, *(its.content for its in state.metadata)]
    return min(Metadata.from_bytes(document).signed.expires for document in documents)
