"""Where a module finds its volumes and files: by environment variables, with our images' defaults.

Apart from settings.py, so that a supervisor need not load a validator to find its own lock.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class SettingsError(ValueError):
    """A setting is missing, unknown or breaks its rule."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """Where a module finds its volumes and files."""

    station_file: Path
    config: Path
    """guardrails.yaml and trusted_keys/ lie here."""
    lane: Path
    """Shared by inference and plc_writer: the two inboxes."""
    private: Path
    """Sockets and locks between the processes of one module."""
    slots: Path
    """Written by model_stager alone."""
    state: Path
    """Written by inference's agent alone."""
    records: Path
    """Part records and images, written by inference's agent alone."""
    metrics_address: str
    metrics_port: int
    control_token_file: Path | None = None
    """Holds the token that orders by HTTP need; without one nobody may order by HTTP."""


def places_from(environment: Mapping[str, str] = os.environ) -> Places:
    """Return the places named by *environment*, each with the default of our images.

    Raises:
        SettingsError: TAKTGATE_METRICS_PORT is not a port.
    """

    def path(variable: str, default: str) -> Path:
        return Path(environment.get(variable, default))

    state = path("TAKTGATE_STATE_DIR", "/var/lib/taktgate/state")
    port = environment.get("TAKTGATE_METRICS_PORT", "9600")
    if not port.isdigit() or not 0 < int(port) < 65536:
        raise SettingsError(f"TAKTGATE_METRICS_PORT: must be 1..65535, got {port!r}")
    token_file = environment.get("TAKTGATE_CONTROL_TOKEN_FILE", "")
    return Places(
        station_file=path("TAKTGATE_STATION_FILE", "/etc/taktgate/station.yaml"),
        config=path("TAKTGATE_CONFIG_DIR", "/etc/taktgate"),
        lane=path("TAKTGATE_LANE_DIR", "/run/taktgate/lane"),
        private=path("TAKTGATE_PRIVATE_DIR", "/run/taktgate/private"),
        slots=path("TAKTGATE_SLOTS_DIR", "/var/lib/taktgate/slots"),
        state=state,
        records=path("TAKTGATE_RECORDS_DIR", str(state / "records")),
        metrics_address=environment.get("TAKTGATE_METRICS_ADDRESS", "0.0.0.0"),  # noqa: S104 - the container's own network
        metrics_port=int(port),
        control_token_file=Path(token_file) if token_file else None,
    )
