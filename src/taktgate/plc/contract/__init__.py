"""The tags and what lies in them: one table, two profiles, records to bytes and back. Pure."""
