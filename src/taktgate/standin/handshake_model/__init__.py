"""A model checker for the handshake: the writer's real rules against a PLC and an adversary.

The writer is `taktgate.plc.handshake.rules.Handshake` itself. The PLC is the program of
docs/plc-tags.md as a pure function. Between them is a network that loses, delays, repeats and
reorders as it likes, judges and hosts that restart, and a program that stops and starts. The search
visits every state that these can bring about within the bounds of a scenario, and holds each step
against properties.

    world ──► moves ──► search ──► report
      │         │          └── properties
      └── plc_program, writer_rules
"""
