"""What the benches of the runner share: a session in a process of its own."""
