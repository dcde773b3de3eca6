"""A GigE Vision camera on loopback: Aravis' own fake camera, fed with our images."""
