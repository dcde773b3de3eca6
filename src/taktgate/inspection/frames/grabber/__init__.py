"""Cameras whose libraries block: each in a process of its own, behind one port.

`camera` and `link` are the judge's end, `process` is the other, `messages` is what they say to each
other. `port` is what a camera's adapter must do, `opening` chooses it by the station's settings.
"""
