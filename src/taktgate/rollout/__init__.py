"""Rings to layered deployments: plan, layers, analysis, controller."""
