"""Azure on loopback: IoT Hub, automatic device management, edgeHub and edgeAgent.

A room for each outside system, and around them what they share:

| room         | stands in for                                                                 |
|--------------|-------------------------------------------------------------------------------|
| `iothub/`    | IoT Hub: identities, twins, queries, deployments, REST                        |
| `edgehub/`   | edgeHub: sessions, routes, store and forward, twins, methods                  |
| `edgeagent/` | edgeAgent: manifest, modules, restarts; and the workload API                  |
| `mqtt/`      | the wire that edgeHub and IoT Hub speak to their clients                      |
| `fleet/`     | a thousand light devices, which only speak and behave like IoT Edge devices   |
| `world/`     | all of them put together, with a model repository beside                      |

`offline_day/` is no stand-in: it judges edgeHub by a day of outages in simulated time.

The rooms of the outside systems do not import each other: they meet by `device_link`, whose calls
of direct methods are `method_calls`. `quirks` names what Azure does on a bad day, `clock` is the
time that all of them tell, `errors` how they refuse. The order of all modules, from the world down
to these, is a contract in pyproject.toml.
"""
