"""The control surface: HTTP for people and tools of this node, never in the way of a part."""
