"""Taktgate: AI pass/fail inspection on an automotive line, as an Azure IoT Edge solution."""

__version__ = "0.1.0"
