"""A package, so that no other of this name is imported instead: l5x installs one."""
