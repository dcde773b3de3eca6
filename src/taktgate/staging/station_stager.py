"""The stager of a real station: its tools are those of this machine."""

from typing import Final

from opentelemetry.metrics import Meter

from taktgate import __version__
from taktgate.contracts.pulse import PULSE_FILE
from taktgate.contracts.runtime import RUNTIME_FILE
from taktgate.edge.places import Places
from taktgate.edge.settings import StagingSettings, StationSettings
from taktgate.staging.activation import ACTIVATION_FILE, ActivationFile
from taktgate.staging.assembly import Assembly, Tools
from taktgate.staging.fetch.pace import Pace
from taktgate.staging.fetch.spool import Spool
from taktgate.staging.fetch.web import UrlFetcher
from taktgate.staging.instruments import Instruments, show_pace
from taktgate.staging.journal import Journal
from taktgate.staging.judge_pulse import PulseFile
from taktgate.staging.registry.client import TRUSTED_ROOT_FILE, TufRegistry
from taktgate.staging.slots.disk import Disk
from taktgate.staging.slots.gate import StationGate
from taktgate.staging.smoke.sandbox import Sandbox

TRUST_FOLDER: Final = "trust"
"""On the slots volume: the registry's metadata that is trusted."""


def station_stager(places: Places, station: StationSettings, meter: Meter) -> Assembly:
    """Return the stager of *station*; nothing is done yet.

    Raises:
        OSError: the slots volume does not hand over the stager's own documents.
    """
    disk = Disk()
    journal = Journal(places.slots, disk=disk)
    judge = PulseFile(
        path=places.state / PULSE_FILE,
        may_judge=ActivationFile(path=places.state / ACTIVATION_FILE).may_be_in_use,
    )
    pace = _pace(station.staging, judge)
    show_pace(meter, pace)
    return Assembly.of(
        journal,
        places.slots,
        places.state,
        tools=_tools(places, station, disk, pace, judge),
        settings=station.staging,
        instruments=Instruments(meter, phase=lambda: journal.record.phase),
        code=__version__,
    )


def _tools(
    places: Places, station: StationSettings, disk: Disk, pace: Pace, judge: PulseFile
) -> Tools:
    settings = station.staging
    return Tools(
        disk=disk,
        gate=StationGate(
            config=places.config,
            device_class=station.device_class,
            runtime=places.state / RUNTIME_FILE,
        ),
        registry=TufRegistry(
            places.slots / TRUST_FOLDER,
            trusted_root=places.config / TRUSTED_ROOT_FILE,
            fetcher=UrlFetcher(),
            disk=disk,
            device_class=station.device_class,
        ),
        smoke=Sandbox(memory_mb=settings.smoke_memory_mb, limit_s=settings.smoke_limit_s),
        spool=lambda path: Spool(path, disk=disk, pace=pace),
        pace=pace,
        judge=judge.look,
    )


def _pace(settings: StagingSettings, judge: PulseFile) -> Pace:
    rate_mb_s = settings.rate_mb_s
    return Pace(
        rate_bytes_s=None if rate_mb_s is None else rate_mb_s * 1e6,
        pause_at=settings.pause_at,
        look=judge.look,
    )
