"""The way of what is published to the stations: Azure Blob, a stick, a server."""
