"""What crosses a process border: frozen data, JSON in and out, and nothing else."""

CONTRACT_VERSION = "1.2"
"""Version of every message below. Modules of different major versions do not trust each other
(`codec.is_compatible`); verdicts and beats, which can open a gate, need the very same version."""
