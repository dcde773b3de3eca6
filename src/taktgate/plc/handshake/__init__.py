"""The rules of the writer, without I/O and without a clock: what is believed, decided, written."""
