"""Azure on loopback: IoT Hub, automatic device management, edgeHub and edgeAgent in one process.

`cloud.LocalCloud` puts the parts together (`cloud_thread.CloudThread` for programs that are not
asyncio); each outside system has files of its own:

| outside system              | files                                                            |
|-----------------------------|------------------------------------------------------------------|
| IoT Hub (service side)      | `iothub*.py`, `identities.py`, `query_language.py`               |
| automatic device management | `device_management.py`, `configurations.py`                      |
| the line hub to device      | `device_link.py`                                                 |
| edgeHub                     | `edgehub*.py`, `mqtt.py`, `topics.py`, `route_*.py`              |
| workload API                | `workload.py`                                                    |
| edgeAgent                   | `edgeagent*.py`, `manifest.py`, `mounts.py`, `process_images.py`, |
|                             | `module_process.py`, `restart_policy.py`                         |
| model repository            | `registry.py`                                                    |
"""
