"""What can go wrong when publishing.

RegistryError
├── KeyMissingError    a private key that must sign is not in the key folder
├── NoRegistryError    the folder holds no registry
├── NoSuchBundleError  the registry has no such bundle
├── DuplicateError     that name, version and class stand for another bundle already
└── TransitionError    the release state does not allow that step
"""


class RegistryError(Exception):
    """The registry was not changed."""


class KeyMissingError(RegistryError):
    """A private key that must sign is not in the key folder."""


class NoRegistryError(RegistryError):
    """The folder holds no registry."""


class NoSuchBundleError(RegistryError):
    """The registry has no such bundle."""


class DuplicateError(RegistryError):
    """A name, version and class stand for one bundle for good."""


class TransitionError(RegistryError):
    """The release state does not allow that step."""
