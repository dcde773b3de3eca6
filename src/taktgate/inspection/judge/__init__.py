"""The judge: one thread that owns the parts, from trigger to verdict."""
