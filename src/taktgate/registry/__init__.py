"""The publishing side of the signed registry: never part of a station."""
