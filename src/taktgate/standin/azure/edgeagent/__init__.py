"""edgeAgent: the deployment, the modules that run by it, and their workload API.

| part                  | does                                                                     |
|-----------------------|--------------------------------------------------------------------------|
| `agent`               | the cycle: look at the deployment, do the steps, report                  |
| `manifest`            | the desired properties, read and checked                                 |
| `deployment/`         | source and backup, plan, retries, status                                 |
| `module_set`          | does the steps; `module` runs one module by its `restart_policy`         |
| `runtime`             | the port through which modules are run                                   |
| `process_runtime`     | adapter: local processes (`module_process`, `process_images`, `mounts`)  |
| `docker/`             | adapter: containers of a Docker Engine                                   |
| `report`, `reporter`  | the reported properties, and sending what is new in them                 |
| `methods`, `logs/`    | direct methods; GetModuleLogs                                            |
| `workload`            | what aziot-edged offers each module on a socket of its own               |
"""
