"""What can go wrong when publishing.

RegistryError
├── KeyMissingError      a private key that must sign is not in the key folders
├── KeyFolderError       a key folder holds what does not belong to this registry
├── PassphraseError      a key file is encrypted, and no passphrase at hand opens it
├── NoRegistryError      the folder holds no registry
├── RegistryExistsError  the folder holds one already
├── SettingsFileError    registry.json breaks a rule
├── BusyError            another command is at work on the registry
├── DiskError            the disk refuses; names the file
├── NoSuchBundleError    the registry has no such bundle
├── NoSuchRoleError      the registry has no such role, or the role no such key
├── RoleFullError        a role's metadata would be longer than stations read
├── DuplicateError       that name, version and class stand for another file already
├── TransitionError      the release state does not allow that step
├── ReportError          a report is not one that a release can rest on
├── DeliveryError        a copy of the registry could not be made or completed
│   ├── ForeignError     there is another registry, or a newer state of this one
│   ├── DeniedError      the store refuses: the access token has expired or lacks a right
│   ├── NoContainerError the store has no such container
│   ├── StoreError       the store does not answer, or not as one that works
│   └── CopyError        what was read back is not what was written
└── ExpiryError          something expires before the day that was asked for
"""


class RegistryError(Exception):
    """The registry was not changed."""


class KeyMissingError(RegistryError):
    """A private key that must sign is not in the key folders."""


class KeyFolderError(RegistryError):
    """A key folder holds what does not belong to this registry, or no key where one should be."""


class PassphraseError(RegistryError):
    """A key file is encrypted, and no passphrase at hand opens it; or a passphrase is none."""


class NoRegistryError(RegistryError):
    """The folder holds no registry."""


class RegistryExistsError(RegistryError):
    """The folder holds a registry already."""


class SettingsFileError(RegistryError):
    """`registry.json` breaks a rule; names the field."""


class BusyError(RegistryError):
    """Another command is at work on the registry."""


class DiskError(RegistryError):
    """The disk refuses; names the file.

    Stations see the state before, and the next command goes on with what was written by then: a
    change of which only the last files are missing may be seen with it.
    """


class NoSuchBundleError(RegistryError):
    """The registry has no such bundle."""


class NoSuchRoleError(RegistryError):
    """The registry has no such role, or the role no such key."""


class RoleFullError(RegistryError):
    """A role's metadata would be longer than stations read: they would take nothing of it."""


class DuplicateError(RegistryError):
    """A name, version and class stand for one file for good."""


class TransitionError(RegistryError):
    """The release state does not allow that step."""


class ReportError(RegistryError):
    """A report is not one that a release can rest on."""


class DeliveryError(RegistryError):
    """A copy of the registry is not complete. What stations saw there before, they see still."""


class ForeignError(DeliveryError):
    """Where the copy should go is another registry, or a newer state of this one."""


class DeniedError(DeliveryError):
    """The store refuses: the access token has expired or lacks a right."""


class NoContainerError(DeliveryError):
    """The store has no such container."""


class StoreError(DeliveryError):
    """The store does not answer, or not as one that works."""


class CopyError(DeliveryError):
    """What was read back is not what was written."""


class ExpiryError(RegistryError):
    """Something expires before the day that was asked for."""
