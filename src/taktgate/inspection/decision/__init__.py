"""From what a model says of a frame to a verdict: the one rule, for whoever applies it. Pure."""
