"""How `scripts/bench plc` measures: PLC, writer, clients and floors are processes of their own.

| file           | holds                                                                        |
|----------------|------------------------------------------------------------------------------|
| `writes.py`    | part 1: how long a write takes, client by client, and how many requests      |
| `verdicts.py`  | part 2: verdict sent to acknowledged, beyond waking up and an echo           |
| `loop.py`      | part 3: cycles that take longer than a tick on a busy machine                |
| `losses.py`    | part 4: a controller that is lost and comes back; what the writer then holds |
| `measuring.py` | the process of the clients; `clients.py` holds them, `raw.py` the least one  |
| `echo.py`      | the process of the TCP echo: the floor of a write                            |
| `floor.py`     | the process that wakes up and makes an echo: the floor of a verdict          |
| `station.py`   | the real writer process, with the bench as its judge and its agent           |
| `relay.py`     | counts requests between client and controller                                |
| `network.py`   | a cable to the PLC that can be pulled                                        |
| `machine.py`   | priorities, cores, and how to keep the machine busy                          |
| `figures.py`   | samples to figures, intervals and lines                                      |
| `plot.py`      | figures to a picture                                                         |
| `screen.py`    | figures and lines on a terminal, and the options that all benches have       |
"""
