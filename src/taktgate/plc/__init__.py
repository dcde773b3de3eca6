"""Verdict to tags: what lies between a judge's word and the gate of the line.

A room knows only those below it (import-linter holds them to that). One part's way through them:

    contract    the tags as one table (`tags`), the records that pass (`records`), and the two
                profiles that turn records into tag writes and back (`wire`: udt, flat). Pure
    ladder      the PLC's side: the rungs that number the part, start its timer and judge its
                result at the gate (`gate_program`), as the file that engineers import (`l5x`)
    opening     before any part: the controller is found (`probe`), its tags are checked by a
                process of their own (`checker`), a session is opened by comparing marks
                (`opening`); all of it as one table of states (`states`)
    writer      the process with one thread (`loop`): each tick reads the command (`session`),
                tells the judge of a new part (`line`, `outlets`), takes verdicts in (`intake`)
    handshake   what is believed of a verdict (`admission`), decided about the part (`rules`,
                `parts`), written, repeated and known of it (`delivery`, `ring`). Pure, no clock
    link        the request that carries the result (`port`): by pycomm3 (`logix`) or by packets
                that are kept (`cached_link`), both on a socket that believes nothing
                (`safe_socket`)
    agent       what became of the part, for edgeHub and for Prometheus. No part needs it
    commands    `taktgate plc l5x | check | watch`: what a controls engineer runs by hand

`errors` draws the tree of all that may fail. The same rules run under the model checker
(`standin.handshake_model`) and, as a whole writer, before the stand-in PLC
(`standin.handshake_player`).
"""
