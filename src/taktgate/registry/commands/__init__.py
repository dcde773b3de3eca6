"""`taktgate registry`: the publishing side from the command line."""
