"""What crosses a process border: frozen data, JSON in and out, and nothing else."""

CONTRACT_VERSION = "1.2"
"""Version of every message below. Modules of different major versions do not trust each other
(`codec.is_compatible`); verdicts and beats, which can open a gate, need the very same version.

It is bumped here and nowhere else, once between two releases: the minor version when fields were
added that a reader may do without, which then pass over them (`codec`); the major version for
whatever else a reader of before would refuse or misunderstand, a new value of an enumeration too.
"""
