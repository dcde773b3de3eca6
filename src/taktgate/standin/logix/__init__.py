"""A controller that speaks EtherNet/IP the way a Logix does, for clients that know no difference.

Read in this order: `encapsulation` (frames), `session` (one TCP connection), `router` (a CIP
request to its object), `tag_services` (reads and writes), `memory` (the bytes), `server` (sockets).
"""
