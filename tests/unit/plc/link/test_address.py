"""The address: all spellings of one controller are one, and what is none is refused."""

import pytest

from taktgate.plc.link.address import ControllerAddress, parse_address

HOST = "10.0.0.1"
WHOLE = ControllerAddress(host=HOST, port=44818, route=("bp", "0"))


@pytest.mark.parametrize(
    "spelling",
    [
        HOST,
        f" {HOST} ",
        f"{HOST}:44818",
        f"{HOST}/0",
        f"{HOST}/bp/0",
        f"{HOST}/Backplane/0",
        f"{HOST}/1/0",
        f"{HOST},1,0",
        f"{HOST}\\bp\\0",
    ],
)
def test_every_spelling_of_a_controller_gives_the_same_parts(spelling: str) -> None:
    assert parse_address(spelling) == WHOLE


def test_another_slot_is_another_controller() -> None:
    assert parse_address(f"{HOST}/3").route == ("bp", "3")


@pytest.mark.parametrize(
    ("address", "rule"),
    [
        ("", "host must be"),
        (":44818", "host must be"),
        ("10.0.0.1 10.0.0.2", "host must be"),
        ("10.0.0.1:many", "port must be 1..65534"),
        ("10.0.0.1:0", "port must be 1..65534"),
        ("10.0.0.1:65535", "port must be 1..65534"),
        ("10.0.0.1/bp/0/enet", "route must be pairs"),
        ("10.0.0.1/bp", "slot must be 0..255"),
        ("10.0.0.1/256", "slot must be 0..255"),
        ("10.0.0.1/-1", "slot must be 0..255"),
        ("10.0.0.1/", "slot must be 0..255"),
        ("10.0.0.1/15/0", "port of the route must be bp, enet or 1..14"),
        ("10.0.0.1/bpp/0", "port of the route must be bp, enet or 1..14"),
        ("10.0.0.1/0/0", "port of the route must be bp, enet or 1..14"),
    ],
)
def test_an_address_that_is_none_names_the_part_and_the_rule(address: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        parse_address(address)


def test_a_route_goes_on_behind_another_network_module() -> None:
    assert parse_address(f"{HOST}/bp/3/enet/10.1.0.9/bp/0").route[2:4] == ("enet", "10.1.0.9")


@pytest.mark.parametrize(
    ("host", "is_numeric"), [("10.0.0.1", True), ("plc-7.plant.local", False), ("10.0.0", False)]
)
def test_a_name_is_told_from_a_number(host: str, is_numeric: bool) -> None:
    assert parse_address(host).is_numeric is is_numeric


def test_a_name_gives_way_to_what_it_stands_for() -> None:
    assert parse_address("plc-7:1000/3").at("10.0.0.7") == "10.0.0.7:1000/bp/3"
