"""Every state that a power cut can leave, and every call that a disk can refuse.

`scenarios` says what a station lives through (`stories`, `disturbances` of an order, and of
`candidates`; all made of `course`), `recording` writes its calls down, `proof` holds that against
strace, `disk` says what may be left of them, `checks` holds each against the invariants; `faults`
lets the disk refuse, `full_start` starts the real processes, `mutants` breaks the code to see the
checks catch it; `report` and `picture` show what came of it.
"""
