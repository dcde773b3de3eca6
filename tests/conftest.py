"""What holds for every test."""

import os

# Newer ONNX Runtime wheels phone home unless told not to, before their import.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
