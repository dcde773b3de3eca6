"""The camera of the local world: a pulse on its trigger line becomes a frame on its clients' TCP.

Read in this order: `roll` (which image comes next), `exposure` (what a trigger does), `frames_out`
(how frames leave), `trigger_line` (how triggers arrive), `camera` (all of it wired).
"""
