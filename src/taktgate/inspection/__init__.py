"""Module inference: from a frame to its verdict, and from an order to the model that judges.

The rooms in the order in which they may know each other, the lowest first (pyproject.toml holds
them to it). What processes say to each other:

    image_facts, opinions   what is known of an image; what two models made of one frame
    doorbell                judge and runner: a job, an answer
    control                 judge and agent: commands, events, what is
    activation_file         activation.json, which judge and agent both read

What is decided, without I/O:

    decision                what an answer means under its bundle's lines
    gate                    whether an image is fit to be judged
    guardrails              when a model is sent back

Who does it:

    spawning                starts child processes beside the judge     (its own process)
    records                 what is kept of every part                  (a thread of the agent)
    frames                  cameras and the memory that frames lie in   (judge; a camera's process)
    pool                    runner processes, started and replaced      (judge; infer service)
    runner                  one model                                   (its own process)
    judge                   parts, deadlines, verdicts                  (the process of the line)
    surface                 HTTP for people and tools of this node      (a thread of the agent)
    agent                   edgeHub, activation, metrics                (its own process)
"""
