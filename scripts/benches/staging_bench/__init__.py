"""The parts of `scripts/bench staging`."""
