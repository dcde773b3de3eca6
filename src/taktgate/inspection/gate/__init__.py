"""The image gate: what a frame looks like without a model, and whether that is fit to be judged.

`measure` finds the facts and `rule` judges them, both in the runner, before inference; `frozen`
looks at consecutive frames, in the judge.
"""
