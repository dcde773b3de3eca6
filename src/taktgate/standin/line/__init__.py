"""The PLC of the local world: a line program on a controller's tags, scanned like a ladder.

Read in this order: `ladder` (the one rule), `watchdog`, `part` (one part until its gate), `program`
(one scan), `audit` (judges the program from the raw writes), `scan` (the task that turns it),
`standstill` (why it may not turn), `steering` and `process` (its orders, from another process).

The rungs that engineers import run in the program's place where a line is asked for them:
`rll` (the interpreter), `ladder_memory` (their tags), `ladder_program`.
"""
