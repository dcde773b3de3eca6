"""Every route of `deployment.template.json` by name; a test holds the two together."""

from dataclasses import dataclass
from typing import Final

INFERENCE: Final = "inference"
PLC_WRITER: Final = "plc_writer"
MODEL_STAGER: Final = "model_stager"
UPSTREAM: Final = "$upstream"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One edgeHub route: from an output of a module to an input of another, or to the cloud."""

    name: str
    source: str
    output: str
    sink: str
    """A module name, or UPSTREAM."""
    input: str | None
    priority: int
    ttl_s: int

    def text(self) -> str:
        """Return the route in edgeHub's route language."""
        sink = (
            UPSTREAM
            if self.input is None
            else f'BrokeredEndpoint("/modules/{self.sink}/inputs/{self.input}")'
        )
        return f"FROM /messages/modules/{self.source}/outputs/{self.output} INTO {sink}"


VERDICTS: Final = Route(
    name="verdicts",
    source=INFERENCE,
    output="verdicts",
    sink=PLC_WRITER,
    input="verdicts",
    priority=0,
    ttl_s=30,
)
LINE: Final = Route(
    name="line",
    source=PLC_WRITER,
    output="line",
    sink=INFERENCE,
    input="line",
    priority=0,
    ttl_s=30,
)
STAGED: Final = Route(
    name="staged",
    source=MODEL_STAGER,
    output="staged",
    sink=INFERENCE,
    input="staged",
    priority=1,
    ttl_s=7200,
)
OUTCOMES: Final = Route(
    name="outcomes",
    source=PLC_WRITER,
    output="outcomes",
    sink=UPSTREAM,
    input=None,
    priority=5,
    ttl_s=86400,
)
AUDIT: Final = Route(
    name="audit",
    source=INFERENCE,
    output="audit",
    sink=UPSTREAM,
    input=None,
    priority=4,
    ttl_s=604800,
)

ROUTES: Final = {route.name: route for route in (VERDICTS, LINE, STAGED, OUTCOMES, AUDIT)}

KIND_PROPERTY: Final = "kind"
"""Application property of a message on `verdicts`: KIND_VERDICT or KIND_BEAT."""
KIND_VERDICT: Final = "verdict"
KIND_BEAT: Final = "beat"
