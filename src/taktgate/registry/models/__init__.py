"""The ML engineer's side: bundles made, compiled, looked into, compared, verified and traced.

| file             | holds                                                            |
|------------------|------------------------------------------------------------------|
| `cli.py`         | `taktgate model`                                                 |
| `description.py` | what a person says of a model, in YAML                           |
| `onnx_header.py` | what an ONNX file says of itself                                 |
| `images.py`      | labelled images from folders                                     |
| `measuring.py`   | scores, claims and latency, by running the very model            |
| `runtime.py`     | ONNX Runtime: the only file that imports it                      |
| `packing.py`     | trained ONNX -> signed bundle and source.json                    |
| `compiling.py`   | bundle -> compiled artifact for one device class                 |
| `opening.py`     | a bundle opened, and whether it is verified                      |
| `inspecting.py`  | everything about it                                              |
| `differences.py` | what differs between two, in meaning                             |
| `tracing.py`     | artifact -> source model -> its parents, by a registry's word    |
| `trusted.py`     | a registry's metadata, read as python-tuf verifies it            |
| `screens.py`     | all of that on a terminal                                        |
"""
