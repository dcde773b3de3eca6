"""What a station lives through while its calls are recorded: one subject each.

`prepare` leaves a station in a folder, all of it durable; `act` is recorded. The rotation of keys
lies between those that are prepared early and all others.
"""

from typing import Final

from crash_campaign.candidates import CANDIDATES
from crash_campaign.disturbances import DISTURBANCES
from crash_campaign.stories import STORIES

SCENARIOS: Final = (*STORIES, *DISTURBANCES, *CANDIDATES)
