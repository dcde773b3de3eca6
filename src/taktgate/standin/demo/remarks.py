"""What a person should know of a run besides its figures: missing rights, standing complaints."""

from collections.abc import Iterable

from taktgate.contracts.routes import PLC_WRITER
from taktgate.standin.demo.readiness import lasting_complaints
from taktgate.standin.demo.station import LocalStation

NO_REALTIME = (
    "no right to real-time priority: the PLC writer runs at normal priority, so latencies have "
    "longer tails; grant the limits rtprio and memlock"
)


def remarks(stations: Iterable[LocalStation]) -> list[str]:
    """Return a line for each right that was missing, and for what modules report to be wrong."""
    found = set()
    for station in stations:
        refusal = station.device.edgehub.methods_refusal
        if refusal is not None:
            found.add(
                f"{refusal}: direct methods from module to module are off; verdicts never need them"
            )
        writer = station.device.module_twin(PLC_WRITER)["reported"].get("plc")
        if writer is not None and not writer["realtime"]:
            found.add(NO_REALTIME)
        found.update(f"{station.name}: {said}" for said in lasting_complaints(station))
    return sorted(found)
