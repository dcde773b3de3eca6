"""Errors of this slice.

PlcError
├── LinkError                    the link to the controller does not work: reopen it
│   ├── LinkRefusedError         the controller could not be reached or said no
│   │   └── ForeignControllerError   what answers there is no controller of ours
│   ├── LinkDeadError            an exchange ended in doubt: its outcome is unknown
│   ├── ContractMismatchError    the controller's tags are not those of docs/plc-tags.md
│   │   └── ConnectionTooSmallError   it grants less room than one verdict needs
│   └── ContractChangedError     the controller is not as it was when its tags were checked
├── ForeignWriterError           somebody else writes our tags: stop writing
└── IllegalTransitionError       a part was asked to do what its state forbids: our bug
"""


class PlcError(Exception):
    """Base of all errors of this slice."""


class LinkError(PlcError):
    """The link to the controller does not work. The session is gone; only a new one may help."""


class LinkRefusedError(LinkError):
    """The controller could not be reached, or refused the session. Nothing was written."""


class LinkDeadError(LinkError):
    """An exchange failed or was late. Whether the controller executed it is unknown."""


class ContractMismatchError(LinkError):
    """The controller's tags differ from the contract; writing them could hit the wrong bytes."""

    def __init__(self, tag: str, member: str, rule: str) -> None:
        where = f"{tag}.{member}" if member else tag
        super().__init__(f"tag {where}: {rule}")
        self.tag = tag
        self.member = member
        self.rule = rule


class ForeignControllerError(LinkRefusedError):
    """What answers at the address is no controller whose tags could be ours."""


class ConnectionTooSmallError(ContractMismatchError):
    """The controller's connections hold no whole verdict: it would have to be split."""

    def __init__(self, tag: str, *, profile: str, needed_bytes: int, granted_bytes: int) -> None:
        rule = (
            f"one verdict of profile {profile} needs {needed_bytes} bytes with its status, "
            f"the controller grants connections of {granted_bytes}"
        )
        super().__init__(tag, "", rule)
        self.profile = profile
        self.needed_bytes = needed_bytes
        self.granted_bytes = granted_bytes


class ContractChangedError(LinkError):
    """The controller is not as it was when its tags were checked: check them again, whole."""

    def __init__(self, what: str) -> None:
        super().__init__(f"{what} has changed since the tags were checked")
        self.what = what


class ForeignWriterError(PlcError):
    """`VIS01_Sts.BootId` is another's, who is alive or has overwritten ours."""

    def __init__(self, own: int, found: int) -> None:
        super().__init__(f"VIS01_Sts.BootId is {found}, ours is {own}: another writer is at work")
        self.own = own
        self.found = found


class IllegalTransitionError(PlcError):
    """A part was asked to do what its state forbids."""
