"""Cameras whose libraries block: each in a process of its own, behind one port."""
