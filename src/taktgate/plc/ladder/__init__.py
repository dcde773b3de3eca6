"""The PLC's side of the contract: the gate routine as rungs, the file that Studio 5000 imports."""
