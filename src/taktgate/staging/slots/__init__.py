"""The slots volume: what lies on it, and what may be put there or taken away."""
