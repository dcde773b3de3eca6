"""Modules as containers: the Docker Engine API over its unix socket."""
