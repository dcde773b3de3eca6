"""The control plane of inference: edgeHub, activation, guardrails, metrics."""
