"""The registry that a command works on."""

import argparse

from taktgate.registry.commands.places import default_keys, default_passphrases
from taktgate.registry.signed.key_files import passphrase_in
from taktgate.registry.signed.publishing import Publisher


def publisher(arguments: argparse.Namespace) -> Publisher:
    """Return the publisher for the folders in *arguments*.

    Raises:
        PassphraseError: a file of a passphrase holds none.
        OSError: it cannot be read.
    """
    files = arguments.passphrase_file or default_passphrases()
    return Publisher(
        arguments.registry,
        keys=arguments.keys or default_keys(),
        passphrases=[passphrase_in(file) for file in files],
    )
