"""Is the image fit to be judged at all: measured facts, and the limits of this station."""
