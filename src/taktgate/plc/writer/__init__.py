"""The data plane of plc_writer: one thread, one loop, one controller."""
