"""Start of a process of a module: the same few steps, and the same exit codes, for all of them."""

import logging
from collections.abc import Callable

from taktgate.edge.exits import EXIT_BAD_SETTINGS, EXIT_BUG, EXIT_ROLE_TAKEN
from taktgate.edge.logs import set_up_logging
from taktgate.edge.places import Places, SettingsError, places_from
from taktgate.edge.process import OrphanedError, RoleTakenError, die_with_parent
from taktgate.edge.settings import StationSettings, load_station

log = logging.getLogger(__name__)


def run_process(name: str, work: Callable[[Places, StationSettings], int]) -> int:
    """Do *work* as process *name* ("module/role"); return the exit code.

    The process dies with its parent. What *work* raises ends it: bad settings and a role that is
    taken with a code and a message of their own, anything else as a bug, with its traceback.
    """
    set_up_logging(name)
    try:
        die_with_parent()
        places = places_from()
        return work(places, load_station(places.station_file))
    except SettingsError as error:
        log.critical("refusing to start: %s", error)
        return EXIT_BAD_SETTINGS
    except (RoleTakenError, OrphanedError) as error:
        log.critical("refusing to start: %s", error)
        return EXIT_ROLE_TAKEN
    except Exception:
        log.exception("unexpected error: ending, to be started anew")
        return EXIT_BUG
