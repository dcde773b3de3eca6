"""What a deployment sets of edgeAgent itself: `systemModules.edgeAgent.env`.

Names and defaults: Azure/iotedge doc/EnvironmentVariables.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from taktgate.standin.azure.edgeagent.manifest import Deployment
from taktgate.standin.azure.edgeagent.restart_policy import BackOff
from taktgate.standin.azure.errors import ManifestError

_WHERE = "$edgeAgent.systemModules.edgeAgent.env"
SECONDS_PER_MINUTE = 60


class UpdateMode(StrEnum):
    """In which order images are pulled and modules changed."""

    NON_BLOCKING = "NonBlocking"
    """Module by module: its image is pulled, then it is changed."""
    WAIT_FOR_ALL_PULLS = "WaitForAllPulls"
    """No module is changed before all images are there."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """How edgeAgent goes about a deployment."""

    update_mode: UpdateMode = UpdateMode.NON_BLOCKING
    back_off: BackOff


def agent_options(deployment: Deployment, *, back_off: BackOff) -> AgentOptions:
    """Return the options that *deployment* sets; what it does not set is as *back_off* says.

    Raises:
        ManifestError: A variable is out of range; the message names it and the rule.
    """
    env = {} if deployment.edge_agent is None else deployment.edge_agent.spec.env
    try:
        mode = UpdateMode(env.get("ModuleUpdateMode", UpdateMode.NON_BLOCKING))
    except ValueError:
        rule = " or ".join(UpdateMode)
        value = env["ModuleUpdateMode"]
        raise ManifestError(f"{_WHERE}.ModuleUpdateMode {value!r}; rule: {rule}") from None
    cool_off_s = _number(env, "CoolOffTimeUnitInSeconds", 0, 300)
    restarts = _number(env, "MaxRestartCount", 1, 2**31 - 1)
    care_min = _number(env, "IntensiveCareTimeInMinutes", 0, 2**31 - 1)
    changes = {
        "base_s": cool_off_s,
        "max_restarts": restarts,
        "forgiven_after_s": None if care_min is None else care_min * SECONDS_PER_MINUTE,
    }
    given = {name: value for name, value in changes.items() if value is not None}
    return AgentOptions(update_mode=mode, back_off=replace(back_off, **given))


def _number(env: Mapping[str, str], name: str, lowest: int, highest: int) -> int | None:
    text = env.get(name)
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or not lowest <= int(text) <= highest:
        raise ManifestError(f"{_WHERE}.{name} {text!r}; rule: {lowest}..{highest}")
    return int(text)
