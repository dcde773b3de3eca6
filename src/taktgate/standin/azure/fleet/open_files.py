"""Room for the connections of a fleet: both ends of each are open files of this process."""

import resource

from taktgate.standin.azure.errors import TooManyFilesError

OTHER_FILES = 256


def allow_open_files(wanted: int) -> None:
    """Let this process have *wanted* more open files than it has use for otherwise.

    Raises:
        TooManyFilesError: The limit cannot be raised as far.
    """
    needed = wanted + OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        raise TooManyFilesError(
            f"{needed} open files needed, {hard} allowed; rule: fewer devices, or a higher "
            "hard limit (ulimit -Hn)"
        )
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
