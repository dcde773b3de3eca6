"""What modules write: kept line by line, found again, and sent by GetModuleLogs."""
