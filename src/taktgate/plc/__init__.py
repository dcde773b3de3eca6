"""Verdict to tags: the tag table, the handshake, the writer and its link to the controller."""
