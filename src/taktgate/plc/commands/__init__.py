"""`taktgate plc`: what a controls engineer runs by hand."""
