"""What runs in a peer's own environment: it imports nothing that only Taktgate's has."""
