"""The modules of one device, and the steps that change them.

Azure/iotedge edge-agent/.../Agent.Core/planrunners/OrderedRetryPlanRunner.cs: a step that fails
does not keep the others from being tried, unless it is a prerequisite of theirs.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from taktgate.standin.azure.clock import Clock
from taktgate.standin.azure.edgeagent.deployment import status as deployment_status
from taktgate.standin.azure.edgeagent.deployment.backup import VersionedDeployment
from taktgate.standin.azure.edgeagent.deployment.options import AgentOptions
from taktgate.standin.azure.edgeagent.deployment.plan import Action, Step, plan_steps
from taktgate.standin.azure.edgeagent.deployment.retries import StepRetries
from taktgate.standin.azure.edgeagent.deployment.status import DeploymentStatus
from taktgate.standin.azure.edgeagent.errors import StepFailedError
from taktgate.standin.azure.edgeagent.logs.journal import Journal
from taktgate.standin.azure.edgeagent.manifest import (
    Deployment,
    ModuleSpec,
    PullPolicy,
    WantedModule,
    WantedStatus,
)
from taktgate.standin.azure.edgeagent.module import ManagedModule, ModuleEvent
from taktgate.standin.azure.edgeagent.report import ModuleSight
from taktgate.standin.azure.edgeagent.restart_policy import BackOff
from taktgate.standin.azure.edgeagent.runtime import (
    ModuleRecipe,
    ModuleRuntime,
    RegistryLogin,
    registry_logins,
)
from taktgate.standin.azure.errors import AzureStandInError
from taktgate.standin.azure.quirks import QuirkBoard

log = logging.getLogger(__name__)


class ModuleIdentities(Protocol):
    """Gives a module its identity on the device."""

    async def environment(self, module: str) -> dict[str, str]:
        """Open the module's workload API and return its IOTEDGE_* variables."""

    async def close(self, module: str) -> None:
        """Close the module's workload API."""

    def release(self, module: str) -> None:
        """Give the module's identity back: the deployment lists it no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModuleSetSettings:
    """How the modules of one device are run."""

    device: str
    environment: Mapping[str, Mapping[str, str]]
    grace_s: float
    back_off: Callable[[], BackOff]
    on_event: Callable[[ModuleEvent], None]
    on_change: Callable[[], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What became of a deployment's steps."""

    failures: Sequence[Exception] = ()
    has_skipped: bool = False
    """A step that failed before was not tried again yet, or not at all any more."""

    @property
    def is_complete(self) -> bool:
        """Tell whether there is nothing left to do."""
        return not self.failures and not self.has_skipped

    def status(self) -> DeploymentStatus:
        """Return what to report: Agent.cs leaves it at Unknown while steps are skipped."""
        if self.failures:
            return deployment_status.failed(self.failures)
        if self.has_skipped:
            return deployment_status.COOLING_OFF
        return deployment_status.SUCCESSFUL


class ModuleSet:
    """Makes, changes and removes modules."""

    def __init__(
        self,
        *,
        runtime: ModuleRuntime,
        identities: ModuleIdentities,
        clock: Clock,
        quirks: QuirkBoard,
        journal: Journal,
        settings: ModuleSetSettings,
    ) -> None:
        self._runtime = runtime
        self._identities = identities
        self._clock = clock
        self._quirks = quirks
        self._journal = journal
        self._settings = settings
        self._modules: dict[str, ManagedModule] = {}
        self._present: dict[str, WantedModule] = {}
        self._made_before: dict[str, ModuleSpec] = {}
        self._logins: Sequence[RegistryLogin] = ()
        self._retries = StepRetries()

    @property
    def modules(self) -> Mapping[str, ManagedModule]:
        """The modules that the device has now."""
        return self._modules

    def sights(self) -> dict[str, ModuleSight]:
        """Return what is to be reported of each module."""
        return {
            name: ModuleSight(
                wanted=self._present[name], status=module.status, record=module.record
            )
            for name, module in self._modules.items()
        }

    def remember(self, deployment: Deployment) -> None:
        """Take note of the modules that were made before edgeAgent was started.

        In Azure their containers are still there, so no image is asked for again.
        """
        self._made_before = {each.spec.name: each.spec for each in deployment.modules}

    async def apply(self, config: VersionedDeployment, options: AgentOptions) -> Outcome:
        """Do the steps that lead to a deployment, as far as they can be done now."""
        self._logins = registry_logins(config.deployment.runtime)
        self._retries.begin(config.version)
        steps = plan_steps(config.deployment.modules, self._present, options.update_mode)
        failures: list[Exception] = []
        has_skipped = False
        for step in steps:
            now_s = self._clock.now()
            if self._retries.is_due(step.key, now_s=now_s, back_off=options.back_off):
                error = await self._try(step)
                if error is None:
                    continue
                failures.append(error)
            else:
                has_skipped = True
            if step.is_prerequisite:
                break
        return Outcome(failures=failures, has_skipped=has_skipped)

    async def stop(self) -> None:
        """End all modules at once; the runtime forgets them. What cannot be ended is logged."""
        names = list(self._modules)
        ends = await asyncio.gather(*(self._remove(name) for name in names), return_exceptions=True)
        for name, end in zip(names, ends, strict=True):
            if isinstance(end, StepFailedError):
                log.error("module not ended", extra={"module_name": name, "reason": str(end)})
            elif isinstance(end, BaseException):
                raise end

    async def _try(self, step: Step) -> Exception | None:
        self._journal.inform(f'Executing command: "{step}"')
        try:
            await self._do(step)
        except (AzureStandInError, OSError) as error:
            self._retries.failed(step.key, now_s=self._clock.now())
            facts = {"device": self._settings.device, "step": str(step), "reason": str(error)}
            log.error("step of a deployment failed", extra=facts)
            self._journal.complain(f"Step failed. Failure when running command {step}: {error}")
            return error
        self._retries.succeeded(step.key)
        self._settings.on_change()
        return None

    async def _do(self, step: Step) -> None:
        if step.action is Action.REMOVE:
            await self._remove(step.module)
            self._identities.release(step.module)
            return
        assert step.wanted is not None
        if step.action is Action.PREPARE:
            await self._pull(step.wanted.spec)
        elif step.action in (Action.CREATE, Action.UPDATE):
            await self._replace(step.wanted, pulls_image=step.pulls_image)
        else:
            await self._start_or_stop(step.wanted)

    async def _pull(self, spec: ModuleSpec) -> None:
        """Get an image. Each creation asks for it anew, even if it is there: Azure/iotedge#1470."""
        was_made = self._made_before.pop(spec.name, None) == spec
        if spec.pull_policy is PullPolicy.NEVER:
            return
        if was_made and await self._runtime.has_image(spec.image):
            return
        delay_s = self._quirks.seconds("slow-pull")
        if delay_s and not await self._runtime.has_image(spec.image):
            await self._clock.sleep(delay_s)
        if self._quirks.strikes("fail-pull"):
            raise StepFailedError(f"Could not pull image {spec.image}")
        await self._runtime.pull(spec.image, self._logins)

    async def _replace(self, wanted: WantedModule, *, pulls_image: bool) -> None:
        spec = wanted.spec
        if pulls_image:
            await self._pull(spec)
        identity = await self._identities.environment(spec.name)
        await self._discard(spec.name)
        extra = self._settings.environment.get(spec.name, {})
        env = {**spec.env, **extra}
        await self._runtime.create(ModuleRecipe(spec=spec, env=env, identity=identity))
        module = self._modules[spec.name] = self._managed(spec)
        self._present[spec.name] = wanted
        state = await self._runtime.state(spec.name)
        module.record.image_hash = "" if state is None else state.image_hash
        if wanted.status is WantedStatus.RUNNING:
            module.start()

    async def _start_or_stop(self, wanted: WantedModule) -> None:
        module = self._modules[wanted.spec.name]
        self._present[wanted.spec.name] = wanted
        if wanted.status is WantedStatus.RUNNING:
            module.start()
        else:
            await module.stop()

    async def _remove(self, name: str) -> None:
        await self._discard(name)
        await self._identities.close(name)

    async def _discard(self, name: str) -> None:
        """End a module and forget it, but not its identity."""
        module = self._modules.get(name)
        if module is not None:
            await module.retire()
            await self._runtime.remove(name)
            del self._modules[name]
            del self._present[name]

    def _managed(self, spec: ModuleSpec) -> ManagedModule:
        return ManagedModule(
            device=self._settings.device,
            spec=spec,
            runtime=self._runtime,
            clock=self._clock,
            back_off=self._settings.back_off,
            grace_s=self._settings.grace_s,
            on_event=self._settings.on_event,
            on_change=self._settings.on_change,
        )
