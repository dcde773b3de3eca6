"""The pool of runners: their processes started, proven in gaps, watched and replaced."""
