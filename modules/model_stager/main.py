"""Module `model_stager`: puts the ordered model into a slot, verified, and announces it."""

import sys

from taktgate.edge.module import run_module

if __name__ == "__main__":
    sys.exit(run_module("model_stager", {"stager": "taktgate.staging.stager_process"}))
