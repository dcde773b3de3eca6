"""How `scripts/bench inspect` measures: the real judge, and the bench in the place of all others.

| file               | holds                                                                     |
|--------------------|---------------------------------------------------------------------------|
| `__main__.py`      | arguments, order of the sections, JSON, table and exit code               |
| `report.py`        | one run: efforts, what is known so far, figures and lines                 |
| `page.py`          | the figures as pieces of a Markdown page                                  |
| `overhead.py`      | sections overhead and busy: what our code adds to `session.run`           |
| `against_peers.py` | section peers: the same model and frames behind others                    |
| `failsafe.py`      | section failsafe: verdicts for parts whose model fails                    |
| `swap.py`          | section swap: models taking turns while parts come                        |
| `overload.py`      | section overload: twice as many parts as the model can judge              |
| `determinism.py`   | section determinism: threads and starts                                   |
| `station.py`       | the judge process; the bench as its camera, PLC writer and agent          |
| `timeline.py`      | one thread that does things at their time                                 |
| `camera.py`, `frames.py`, `inbox.py` | what is sent to the judge, and what it sends            |
| `parts.py`         | a part as the bench saw it, and where its time went                       |
| `holdings.py`      | what the judge holds of the system                                        |
| `model.py`, `wayward.py`, `ballast.py` | signed bundles: chosen cost, ill on demand, 200 MB    |
| `errands.py`       | section busy's other work; `staging.py`, `scraper.py` are its processes   |
| `agent_beside.py`  | the real agent, which hears what the bench hears                          |
| `raw.py`           | `session.run` alone; `scoring.py` is its process                          |
| `sleeper.py`       | the process of the floor: wakes up at a moment, as the judge does         |
| `peers/`, `peer_stack/` | the peers, and what runs in their environments                       |
"""
