"""Labelled images for the line's camera, for training and for golden sets."""
