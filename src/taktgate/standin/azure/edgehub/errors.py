"""Errors inside edgeHub.

AzureStandInError
├── StoreFullError        the store takes nothing more: the sender gets no receipt
└── DeliveryFailedError   a message did not reach its module; it is tried again
"""

from taktgate.standin.azure.errors import AzureStandInError


class StoreFullError(AzureStandInError):
    """The store takes nothing more."""


class DeliveryFailedError(AzureStandInError):
    """A message did not reach its module: it is away, takes no input, or gave no receipt."""
