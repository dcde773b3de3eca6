"""The registry that a command works on."""

import argparse

from taktgate.registry.commands.places import default_keys
from taktgate.registry.signed.publishing import Publisher


def publisher(arguments: argparse.Namespace) -> Publisher:
    """Return the publisher for the folders in *arguments*."""
    return Publisher(arguments.registry, keys=arguments.keys or default_keys())
