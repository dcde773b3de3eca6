"""How `scripts/bench hub` measures: modules and cloud are processes of their own.

| file         | holds                                                                          |
|--------------|--------------------------------------------------------------------------------|
| `cloud.py`   | the process of the local cloud: one device, its edgeHub, the routes            |
| `module.py`  | the process of one module: an unmodified SDK client that sends, relays, calls  |
| `process.py` | the near end of either process: questions and answers as lines of JSON         |
| `cases.py`   | what is measured: each case runs one block of messages and returns its samples |
| `verdict.py` | samples to figures, figures against the line                                   |
"""
