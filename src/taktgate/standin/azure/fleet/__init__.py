"""Light devices: a thousand IoT Edge devices in one process, for rehearsals of a rollout.

A light device speaks to IoT Hub as a real one does, by TLS and MQTT with an identity for each
module, and behaves as a station of ours from the outside: no process runs, no model is fetched, but
the twins say what they would say.

| file              | holds                                                                      |
|-------------------|----------------------------------------------------------------------------|
| `behaviour`       | what a light module is: events in, effects out, a report                   |
| `edge_agent`      | `$edgeAgent`: applies the deployment, answers methods                      |
| `edge_hub`        | `$edgeHub`: takes or refuses its configuration                             |
| `stager`          | `model_stager`: from the order to the announced model                      |
| `inference`       | `inference`: from the announced model to the confirmed one, or back        |
| `faults`, `pace`  | what goes wrong where, how long it takes; both by seed, not by chance      |
| `twin_mirror`     | a module's own view of its twin                                            |
| `hub_line`        | the client's side of one MQTT connection to IoT Hub                        |
| `module_client`   | keeps a module connected and its twin up to date                           |
| `device`          | a device: its modules, what they tell each other, what runs                |
| `fleet`           | all of them, and their figures                                             |
| `open_files`      | room for their connections                                                 |

The behaviours are pure; time and the network lie in the files from `hub_line` on.
"""
