"""One mutant's own process: the scenarios recorded and checked until an invariant is broken."""

import json
from collections.abc import Sequence
from pathlib import Path

from crash_campaign.campaign import Campaign, silent
from crash_campaign.scenarios import SCENARIOS
from taktgate.standin.recorded_files import EscapeError


def hunt_here(folder: Path, names: Sequence[str], *, seed: int) -> str:
    """Return, as JSON, which invariant is broken first by the code that is imported here."""
    scenarios = [each for each in SCENARIOS if each.name in names]
    try:
        campaign = Campaign(folder, seed=seed, scenarios=scenarios)
    except EscapeError as error:
        return json.dumps({"invariant": "escape", "detail": str(error)})
    except AssertionError as error:
        return json.dumps({"invariant": "completes", "detail": f"unhurt: {error}"[:400]})
    found = campaign.run(
        campaign.sample(len(campaign.cases), seed), workers=1, progress=silent, stop_at_first=True
    )
    if not found:
        return json.dumps({"invariant": None, "detail": f"{len(campaign.cases)} states, all well"})
    first = found[0]
    detail = f"{first.state} {first.call}; {first.lost}: {first.violation.message}"
    return json.dumps({"invariant": first.violation.invariant, "detail": detail})
