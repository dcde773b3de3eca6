"""One session with one controller: the port, two backends, a socket that believes nothing."""
