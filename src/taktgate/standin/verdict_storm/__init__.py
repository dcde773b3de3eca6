"""Verdicts by the million, through everything that may happen to them on their way to the gate.

    line ──► writer (the real one, on a link in memory) ──► judge ──► two lanes ──► writer ──► line
      │                                                                                        │
      └──────── truth: what was said of the very part that is at the gate now ◄── gate, audit ─┘

All is one process under one virtual clock: a day of production takes minutes. A part is known by
its serial number, which no tag carries; its verdict brings it along as the score, through envelope,
encoder and tag, and at the gate the two have to be the same.
"""
