"""The stager put together: from what a station is given to the desk that takes its orders."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Self

from taktgate.edge.settings import StagingSettings
from taktgate.staging.activation import ACTIVATION_FILE, ActivationFile
from taktgate.staging.back_off import BackOff
from taktgate.staging.fetch.pace import Pace
from taktgate.staging.fetch.spool import Spool
from taktgate.staging.hold_point import HoldPoint, utc_now
from taktgate.staging.installer import Installer
from taktgate.staging.instruments import Instruments
from taktgate.staging.journal import Journal
from taktgate.staging.judge_sight import NOBODY, JudgeSight
from taktgate.staging.orders import OrderDesk
from taktgate.staging.registry.offers import Registry
from taktgate.staging.slots.disk import Disk
from taktgate.staging.slots.gate import Gate
from taktgate.staging.slots.quota import MB, Quota
from taktgate.staging.slots.slots import Slots
from taktgate.staging.smoke.port import SmokeTest
from taktgate.staging.stager import Stager
from taktgate.staging.surroundings import Surroundings


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What reaches out of the stager: each is a port, or made of ports.

    Attributes:
        spool: Opens the download in a file.
        pace: Of heavy work on the disk; the one of *spool*.
        clock: Monotonic, in seconds.
        wall: In UTC; windows and labels go by it.
        judge: Shows the judge and its line.
    """

    disk: Disk
    gate: Gate
    registry: Registry
    smoke: SmokeTest
    spool: Callable[[Path], Spool]
    clock: Callable[[], float] = time.monotonic
    wall: Callable[[], datetime] = utc_now
    back_off: BackOff | None = None
    pace: Pace = field(default_factory=Pace)
    judge: Callable[[], JudgeSight] = lambda: NOBODY


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembly:
    """The stager's parts that others speak to."""

    journal: Journal
    slots: Slots
    stager: Stager
    desk: OrderDesk

    @classmethod
    def of(
        cls,
        journal: Journal,
        root: Path,
        state: Path,
        *,
        tools: Tools,
        settings: StagingSettings,
        instruments: Instruments,
        code: str,
    ) -> Self:
        """Return the stager of *journal* for the slots volume *root*; *state* is inference's."""
        slots = Slots(root, disk=tools.disk, gate=tools.gate)
        quota = Quota(most=settings.quota_mb * MB, reserve=settings.reserve_mb * MB)
        activation = ActivationFile(path=state / ACTIVATION_FILE)
        hold_point = HoldPoint(
            state,
            activation=activation,
            windows=settings.windows,
            wall=tools.wall,
            judge=tools.judge if settings.while_line_runs == "hold" else None,
        )
        installer = Installer(
            journal=journal,
            slots=slots,
            spool=tools.spool,
            registry=tools.registry,
            smoke=tools.smoke,
            activation=activation,
            hold_point=hold_point,
            quota=quota,
            waived_hil=settings.waived_hil,
            instruments=instruments,
            pace=tools.pace,
        )
        stager = Stager(
            journal=journal,
            slots=slots,
            installer=installer,
            hold_point=hold_point,
            instruments=instruments,
            clock=tools.clock,
        )
        surroundings = Surroundings(
            activation=activation,
            registry=tools.registry,
            quota=quota,
            usage=slots.usage,
            clock=tools.clock,
        )
        desk = OrderDesk(
            journal=journal,
            stager=stager,
            activation=activation,
            hold_point=hold_point,
            surroundings=surroundings,
            code=code,
            clock=tools.clock,
            wall=tools.wall,
            back_off=tools.back_off,
        )
        return cls(journal=journal, slots=slots, stager=stager, desk=desk)
