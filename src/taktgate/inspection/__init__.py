"""Frame to verdict: camera, ring, runner, judge, activation, guardrails."""
