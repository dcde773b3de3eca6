"""Which frame shows which part, by one of three strategies: `port` says what each must do.

`numbered` pairs by time and by a number that the camera counts: the frame counter, or the counter
of its trigger input. `software_trigger` exposes on command. `choosing` takes what is set.
"""
