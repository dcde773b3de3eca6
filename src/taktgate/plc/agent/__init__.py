"""The control plane of plc_writer: edgeHub, metrics, reported properties."""
