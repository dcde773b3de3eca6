"""A controller that speaks EtherNet/IP the way a Logix does, for clients that know no difference.

Read in this order: `encapsulation` (frames), `session` (one client's conversation), `router` (a CIP
request to its object), `tag_services` (reads and writes), `tag_table` and `memory` (which tags, and
their bytes), `client_link` and `server` (sockets).

No byte is shared with the writer's own encoder (`plc/link/packets.py`, `plc/link/cip.py`): what
both sides took from one piece of code they would agree on, right or wrong.

What goes wrong with it: `faults` (of a link, met in `client_link`), `torn_writes`, `downloads`
(other tags under open sessions). What it tells a test: `write_log`. What stands around our tags:
`foreign_tags`. What it is able to: `firmware`.
"""
