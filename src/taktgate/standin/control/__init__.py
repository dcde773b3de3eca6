"""How a test or the demo steers a stand-in process: JSON lines over a unix socket, both ways.

Commands have `do` and may have `id`; each is answered by one `reply` event with the same `id`.
All other events go to every client. No module under test ever uses this channel.
"""
