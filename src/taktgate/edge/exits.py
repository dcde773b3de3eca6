"""Exit codes that all processes of a module share."""

from typing import Final

EXIT_BUG: Final = 1
EXIT_BAD_SETTINGS: Final = 2
"""Starting again does not help: the supervisor ends its module with the same code, unless the
others work without this process."""
EXIT_ROLE_TAKEN: Final = 3
EXIT_LINK_FATAL: Final = 6
"""The hub client cannot recover in this process: started anew, it can."""
