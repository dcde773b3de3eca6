"""The module `inference`: frames in, verdicts out."""

import sys

from taktgate.edge.module import run_module
from taktgate.edge.places import Places

ROLES = {
    "judge": "taktgate.inspection.judge.process",
    "agent": "taktgate.inspection.agent.process",
}


def check(places: Places) -> None:
    """Check the settings that inference has besides station.yaml."""
    # Here, not above: the supervisor is to stay small.
    from taktgate.inspection.guardrails.settings import load_guardrails

    load_guardrails(places.config)


if __name__ == "__main__":
    sys.exit(run_module("inference", ROLES, expendable={"agent"}, check=check))
