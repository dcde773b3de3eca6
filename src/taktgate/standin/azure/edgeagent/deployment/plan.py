"""The steps that lead from the modules there are to the modules that are wanted, without I/O.

Azure/iotedge edge-agent/.../Agent.Core/planners/HealthRestartPlanner.cs, and the command factories
of Agent.Edgelet for the two update modes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from taktgate.standin.azure.edgeagent.deployment.options import UpdateMode
from taktgate.standin.azure.edgeagent.manifest import WantedModule, WantedStatus


class Action(StrEnum):
    """What a step does."""

    REMOVE = "Remove"
    PREPARE = "Prepare"
    """Pull the image."""
    CREATE = "Create"
    UPDATE = "Update"
    START = "Start"
    STOP = "Stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One thing to do to one module."""

    action: Action
    module: str
    wanted: WantedModule | None = None
    is_prerequisite: bool = False
    """If it fails, no step after it is done."""
    pulls_image: bool = False
    """It pulls the image first, and changes nothing if that fails."""

    @property
    def key(self) -> str:
        """What tells this step from others when it is tried again."""
        return f"{self.action} {self.module} {self.wanted!r}"

    def __str__(self) -> str:
        return f"{self.action} module {self.module}"


def plan_steps(
    wanted: Sequence[WantedModule], present: Mapping[str, WantedModule], mode: UpdateMode
) -> list[Step]:
    """Return what is to be done, in order of attempts.

    Args:
        wanted: The modules of the deployment, in order of start.
        present: The modules that the device has, as they were wanted when they were made.
        mode: Whether all images are pulled before anything changes.
    """
    names = {each.spec.name for each in wanted}
    removals = [Step(action=Action.REMOVE, module=name) for name in present if name not in names]
    waits = mode is UpdateMode.WAIT_FOR_ALL_PULLS
    pulls = [
        Step(action=Action.PREPARE, module=each.spec.name, wanted=each, is_prerequisite=True)
        for each in wanted
        if waits and _needs_image(each, present)
    ]
    changes = [
        step
        for each in wanted
        if (step := _change(each, present.get(each.spec.name), pulls_image=not waits)) is not None
    ]
    return [*pulls, *removals, *changes]


def _needs_image(wanted: WantedModule, present: Mapping[str, WantedModule]) -> bool:
    known = present.get(wanted.spec.name)
    return known is None or known.spec != wanted.spec


def _change(wanted: WantedModule, known: WantedModule | None, *, pulls_image: bool) -> Step | None:
    name = wanted.spec.name
    if known is None or known.spec != wanted.spec:
        action = Action.CREATE if known is None else Action.UPDATE
        return Step(action=action, module=name, wanted=wanted, pulls_image=pulls_image)
    if known.status is wanted.status:
        return None
    action = Action.START if wanted.status is WantedStatus.RUNNING else Action.STOP
    return Step(action=action, module=name, wanted=wanted)
