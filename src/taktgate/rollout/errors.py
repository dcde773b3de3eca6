"""What can go wrong in a rollout.

RolloutError
├── PlanError                bad input: rings.yaml, an argument, the saved state
└── CloudError               IoT Hub does not do what we ask
    ├── CloudUnreachableError  it does not answer: tried again, within a limit
    ├── CloudChangedError      somebody else changed the layer in between: looked at again
    ├── CloudDeniedError       it does not let us
    └── CloudRefusedError      it finds our request wrong
"""


class RolloutError(Exception):
    """A rollout cannot go on."""


class PlanError(RolloutError):
    """What we were asked to do makes no sense; nothing was done."""


class CloudError(RolloutError):
    """IoT Hub did not do what we asked."""


class CloudUnreachableError(CloudError):
    """No answer, or none of a hub that works."""


class CloudChangedError(CloudError):
    """The layer is not what it was when we looked."""


class CloudDeniedError(CloudError):
    """The login does not suffice."""


class CloudRefusedError(CloudError):
    """The hub calls our request wrong."""
