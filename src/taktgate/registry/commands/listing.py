"""`list`: what is in the registry, on a screen."""

import argparse
import io
from typing import Final

from rich.box import SIMPLE
from rich.console import Console
from rich.table import Table
from rich.text import Text

from taktgate.bundle.targets import ReleaseState
from taktgate.registry.commands.opened import publisher
from taktgate.registry.commands.output import Result
from taktgate.registry.commands.overview import Overview, overview

_WIDTH: Final = 110
_SOON_DAYS: Final = 3


def list_all(arguments: argparse.Namespace) -> Result:
    """Show bundles, their states, and expiries."""
    found = overview(publisher(arguments).files)
    page = io.StringIO()
    console = Console(file=page, width=_WIDTH)
    if found.bundles:
        console.print(_bundles(found))
    console.print(_roles(found))
    if found.sources:
        console.print(Text("source models: " + ", ".join(found.sources)))
    lines = [line.rstrip() for line in page.getvalue().splitlines()]
    return Result(document=found.document(), lines=lines)


def _bundles(found: Overview) -> Table:
    table = Table("model", "version", "class", "state", "HIL", box=SIMPLE)
    table.add_column("serial", justify="right")
    table.add_column("MB", justify="right")
    table.add_column("digest")
    table.add_column("note", overflow="fold")
    for line in found.bundles:
        its = line.facts
        state = "RELEASED" if its.state is ReleaseState.RELEASED else str(its.state)
        table.add_row(
            *(Text(word) for word in (its.name, its.version, its.device_class, state, its.hil)),
            str(its.serial),
            f"{line.size_bytes / 1e6:.1f}",
            its.digest.partition(":")[2][:12],
            Text(its.note),
        )
    return table


def _roles(found: Overview) -> Table:
    table = Table(
        "role", "version", "expires (UTC)", "", "must sign", "keys (* not here)", box=SIMPLE
    )
    for its in found.roles:
        left = (its.expires - found.now).total_seconds() / 86400
        remark = "EXPIRED" if left < 0 else "soon" if left < _SOON_DAYS else ""
        unseen = "" if its.seen == its.version else f" ({its.seen} is seen)"
        keys = [name if name in its.at_hand else f"{name}*" for name in its.keys]
        table.add_row(
            its.role,
            f"{its.version}{unseen}",
            f"{its.expires:%Y-%m-%d %H:%M}",
            remark,
            f"{its.threshold} of {len(its.keys)}",
            ", ".join(keys),
        )
    return table
