"""The plc_writer module: verdicts to PLC tags."""

import sys

from taktgate.edge.module import run_module

if __name__ == "__main__":
    sys.exit(
        run_module(
            "plc_writer",
            {"writer": "taktgate.plc.writer.process", "agent": "taktgate.plc.agent.process"},
            expendable={"agent"},
        )
    )
