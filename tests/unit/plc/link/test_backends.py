"""What a station file may choose is what there is, each under its own name."""

from typing import get_args, get_type_hints

from taktgate.edge.settings import PlcSettings
from taktgate.plc.contract.profiles import profile_named
from taktgate.plc.link.backends import BACKENDS
from taktgate.plc.link.cached_link import CachedLink
from taktgate.plc.link.logix import LogixLink


def choices_of(setting: str) -> tuple[str, ...]:
    return get_args(get_type_hints(PlcSettings)[setting])


def test_each_backend_of_the_settings_is_the_one_of_that_name() -> None:
    assert set(choices_of("backend")) == set(BACKENDS)
    assert (BACKENDS["pycomm3"], BACKENDS["cached"]) == (LogixLink, CachedLink)


def test_each_profile_of_the_settings_is_the_one_of_that_name() -> None:
    assert [profile_named(name).name for name in choices_of("profile")] == ["udt", "flat"]
