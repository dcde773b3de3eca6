"""What `taktgate registry` can do, by verb, and how a refusal is told."""

import argparse
from collections.abc import Callable, Mapping
from typing import Final

from taktgate.bundle.errors import BundleError
from taktgate.registry.commands import bundles, copies, listing, pruning, signing
from taktgate.registry.commands.output import Result, progress, show
from taktgate.registry.errors import RegistryError

EXIT_REFUSED: Final = 1
EXIT_USAGE: Final = 2
VERBS: Final[Mapping[str, Callable[[argparse.Namespace], Result]]] = {
    "init": signing.init,
    "add": bundles.add,
    "promote": bundles.promote,
    "revoke": bundles.revoke,
    "floor": bundles.floor,
    "rotate-key": signing.rotate_key,
    "renew": signing.renew_expiring,
    "prune": pruning.prune_registry,
    "list": listing.list_all,
    "serve": copies.serve,
    "push": copies.push,
    "export": copies.export_to,
}


def run(arguments: argparse.Namespace) -> int:
    """Run the verb in *arguments*; return the exit code."""
    try:
        result = VERBS[arguments.verb](arguments)
    except (RegistryError, BundleError, OSError) as error:
        progress(f"taktgate registry {arguments.verb}: {error}")
        return EXIT_REFUSED
    except ValueError as error:
        progress(f"taktgate registry {arguments.verb}: {error}")
        return EXIT_USAGE
    show(result, as_json=arguments.json)
    return result.code
