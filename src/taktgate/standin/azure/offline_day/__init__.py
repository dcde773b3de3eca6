"""A day of outages in simulated time: does edgeHub keep every message, once and in order?

`scripts/offline_day` runs it. Modules of its own (`module.py`) speak MQTT with edgeHub over a wire
that loses what is on its way when it is cut (`wire.py`); the device's line, the modules and edgeHub
itself come and go by a plan that its seed decides (`day.py`); a ledger that knows nothing of
edgeHub's insides (`ledger.py`) judges what was sent and what arrived.
"""
