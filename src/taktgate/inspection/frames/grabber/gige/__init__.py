"""GigE Vision cameras through Aravis' C library."""
