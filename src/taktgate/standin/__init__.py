"""The local world: Azure, PLC, camera and registry on loopback, with fault switches."""
