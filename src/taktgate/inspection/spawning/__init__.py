"""How the data plane comes by its processes without waiting: a small process starts them."""
