"""The control surface: HTTP for people and tools of this node, never in the verdict path."""
