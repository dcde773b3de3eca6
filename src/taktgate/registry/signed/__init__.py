"""The signed repository: its keys, its files, and what a publisher does to it."""
