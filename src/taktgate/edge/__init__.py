"""Life of a module: settings, logs, metrics, processes, lanes, the hub client, durable files."""
