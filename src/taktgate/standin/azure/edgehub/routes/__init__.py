"""edgeHub's route language: parse, type, evaluate."""
