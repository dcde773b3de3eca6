"""A smoke test of a staged model, in a process that may neither grow nor linger."""
