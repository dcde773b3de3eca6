"""MQTT 3.1.1 as Azure speaks it: packets, topics, one connection."""
