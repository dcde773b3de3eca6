"""The profiles by the names that the station file uses."""

from collections.abc import Callable, Mapping
from typing import Final

from taktgate.plc.contract.flat_profile import FlatProfile
from taktgate.plc.contract.udt_profile import UdtProfile
from taktgate.plc.contract.wire import Profile

_PROFILES: Final[Mapping[str, Callable[[], Profile]]] = {
    "udt": UdtProfile,
    "flat": FlatProfile,
}


def profile_named(name: str) -> Profile:
    """Return the profile that `plc.profile` names.

    Raises:
        ValueError: there is none of that name.
    """
    try:
        return _PROFILES[name]()
    except KeyError:
        known = ", ".join(sorted(_PROFILES))
        raise ValueError(f"plc.profile: must be one of {known}, is {name!r}") from None
