"""A runner: the process of one loaded model."""
