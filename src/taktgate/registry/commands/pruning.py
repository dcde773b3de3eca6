"""`prune`: old metadata that no client can ask for any more."""

import argparse

from taktgate.registry.commands.output import Result
from taktgate.registry.signed.keys import KeyRing
from taktgate.registry.signed.pruning import prune
from taktgate.registry.signed.repository import RegistryFiles


def prune_registry(arguments: argparse.Namespace) -> Result:
    """Remove old metadata from the registry's folder."""
    files = RegistryFiles(arguments.registry, keys=KeyRing([]))
    found = prune(files, is_trial=arguments.dry_run)
    done = "would be removed" if arguments.dry_run else "removed"
    count = f"{len(found.removed)} files of metadata {done}, {found.kept} stay"
    document = {
        "removed": list(found.removed),
        "kept": found.kept,
        "dryRun": arguments.dry_run,
    }
    return Result(document=document, lines=[*found.removed, count])
