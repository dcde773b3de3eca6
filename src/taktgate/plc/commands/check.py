"""`taktgate plc check`: does a controller hold the contract? Read-only."""

import argparse
import json
import sys
from typing import Any, Final

from taktgate.plc.errors import LinkError
from taktgate.plc.link.address import parse_address

PROFILE_NAMES: Final = ("udt", "flat")
EXIT_DIFFERS: Final = 1
EXIT_UNREACHABLE: Final = 2


def add_check(commands: Any) -> None:
    """Add `check` to the commands of `taktgate plc`."""
    check = commands.add_parser(
        "check",
        help="open a controller read-only and say what differs from the contract",
        description="Exit code 0: equal. 1: something differs. 2: no controller answers there.",
        epilog="example: taktgate plc check --host 192.168.1.10/0",
    )
    add_target(check)
    check.add_argument("--json", action="store_true", help="print one JSON document")
    check.set_defaults(run=_check)


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add the options that name a controller and the profile of its tags."""
    parser.add_argument(
        "--host",
        required=True,
        type=_address,
        metavar="HOST[:PORT][/SLOT]",
        help="as plc.address of station.yaml",
    )
    parser.add_argument("--profile", choices=PROFILE_NAMES, default="udt")


def _address(text: str) -> str:
    """Return *text* when it can be the address of a controller."""
    try:
        parse_address(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text


def _check(options: argparse.Namespace) -> int:
    # Only here: pycomm3 is there in the writer's image alone.
    from taktgate.plc.commands.contract_report import compare
    from taktgate.plc.contract.profiles import profile_named
    from taktgate.plc.link.upload import upload

    try:
        found = upload(options.host)
    except LinkError as error:
        sys.stderr.write(f"taktgate: {error}\n")
        return EXIT_UNREACHABLE
    report = compare(options.host, found, profile_named(options.profile))
    if options.json:
        sys.stdout.write(json.dumps(report.as_dict(), indent=2) + "\n")
    else:
        sys.stdout.write(report.as_text())
    return EXIT_DIFFERS if report.broken else 0
