"""Frames: the camera port and its adapters, the wire format, the ring in shared memory."""
