"""A bundle from the registry to a slot, verified and durable."""
