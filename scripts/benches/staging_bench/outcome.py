"""What a section can come to beside its figures."""


class BenchError(Exception):
    """It cannot be measured here, or what is measured did not do what the bench needs of it."""
