"""edgeAgent: the deployment manifest and the modules that run by it."""
