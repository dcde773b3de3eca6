"""`taktgate demo`: the whole line on one machine, from trigger to reject gate."""
