"""The module `inference`: frames in, verdicts out."""

import sys

from taktgate.edge.module import run_module

ROLES = {
    "judge": "taktgate.inspection.judge.process",
    "agent": "taktgate.inspection.agent.process",
}

if __name__ == "__main__":
    sys.exit(run_module("inference", ROLES))
