"""What a writer at work says of itself."""

from taktgate.contracts import CONTRACT_VERSION
from taktgate.plc.writer.status import WriterStatus
from taktgate.plc.writer.timing import Stopwatch

STATUS = WriterStatus(
    contract=CONTRACT_VERSION,
    writer_start_id="start",
    state="run",
    error="",
    controller="10.0.0.1",
    is_realtime=True,
    rights={"scheduling": True, "memory": True},
    is_connected=True,
    is_ready=True,
    has_fault=False,
    reconnects=0,
    judge_restarts=0,
    overflows=0,
    late_ticks=0,
    refused={},
    used={},
    lost={},
    timings=Stopwatch().timings(),
)
