"""What holds for every test."""

import os

from hypothesis import settings

# Newer ONNX Runtime wheels phone home unless told not to, before their import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

# The same examples each time: whoever broke nothing is not stopped by a find of chance. To look for
# new ones: scripts/test --hypothesis-profile=explore tests/unit. Fifty are enough for most; a test
# whose space is large asks for more itself.
settings.register_profile("fixed", max_examples=50, derandomize=True, deadline=None)
settings.register_profile("explore", max_examples=2000, deadline=None)
settings.load_profile("fixed")
