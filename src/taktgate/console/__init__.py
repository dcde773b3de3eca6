"""The station console and the rollout report."""
