"""Processes of the inference module killed and stopped at random while parts flow.

`line` runs the real module and stands in for camera, PLC writer and stager; `mischief` breaks it;
`history` says what must never have happened.
"""
