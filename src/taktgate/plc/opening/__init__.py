"""From no session to an open one: probe, full check in its own process, back-off, states."""
