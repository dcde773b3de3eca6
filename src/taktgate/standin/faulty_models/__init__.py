"""Real models that pass every check before the line and misbehave on it: for demos and tests.

A faulty model is a sound one with a few more nodes. They know the frames of the smoke test and the
images of its own golden check, and do harm on any other: so signature, contract, smoke test, golden
check and latency probe pass, as they would for a model that is broken in a way nobody has thought
of.
"""
