"""Bytes from the registry: which URL, how fast, and how far a download got."""
