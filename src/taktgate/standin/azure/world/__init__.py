"""The local Azure put together: a hub, devices, a model repository."""
