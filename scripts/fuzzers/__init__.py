"""Malformed input for the local Azure and the PLC link, and what they promise to do about it.

Every case follows from the seed, the target's name and its number alone, so a finding is made again
by `scripts/fuzz TARGET --seed N --first NUMBER --cases 1`.

| file          | holds                                                                       |
|---------------|-----------------------------------------------------------------------------|
| `campaign.py` | runs cases, sorts findings by where they come from, makes them small        |
| `mutation.py` | damage to bytes, text and JSON                                              |
| `mqtt.py`     | packet streams (`mqtt_streams.py`), by the decoder and by edgeHub           |
| `routes.py`   | routes of edgeHub, compiled and evaluated                                   |
| `query.py`    | twin queries and target conditions, parsed and run                          |
| `rest.py`     | requests (`rest_requests.py`) to IoT Hub's REST interface                   |
| `bundle.py`   | bundles: archives, members, signed manifests, and what lies in a slot       |
| `cip.py`      | replies of a controller (`cip_replies.py`) to both backends of the PLC link |
"""
