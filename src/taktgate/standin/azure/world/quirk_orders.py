"""An order to turn a quirk on or off, or to let one happen, carried to the system that has it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, TypeAlias

from taktgate.contracts.codec import STRICT_DOCUMENT, Finite
from taktgate.standin.azure.errors import QuirkError
from taktgate.standin.azure.quirks import QUIRKS, Measure, Quirk, QuirkBoard, System

if TYPE_CHECKING:  # a command to a running world must not load a whole world
    from taktgate.standin.azure.world.cloud import LocalCloud
    from taktgate.standin.azure.world.local_device import LocalDevice


@dataclass(frozen=True, slots=True, kw_only=True)
class QuirkOrder:
    """What somebody wants of a quirk. Without a device: all IoT Edge devices that run here."""

    __pydantic_config__ = STRICT_DOCUMENT

    name: str
    device: str | None = None
    module: str | None = None
    value: Finite | None = None
    off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QuirkEffect:
    """What an order did, and where."""

    where: str
    what: str


Action: TypeAlias = Callable[
    ["LocalCloud", "LocalDevice", str | None], Awaitable[list[QuirkEffect]]
]


async def carry_out(cloud: "LocalCloud", order: QuirkOrder) -> list[QuirkEffect]:
    """Do what *order* says. An order that breaks a rule changes nothing.

    Raises:
        QuirkError: There is no such quirk, device or connection, or a number is out of range.
        PortInUseError: edgeHub shall start and its port was taken meanwhile.
    """
    quirk = QUIRKS.get(order.name)
    if quirk is None:
        raise QuirkError(f"no quirk {order.name!r}; rule: one of {', '.join(sorted(QUIRKS))}")
    _check(quirk, order)
    if quirk.system is System.HUB:
        _switch(cloud.hub.quirks, quirk, order)
        return [QuirkEffect(where="hub", what=_words(quirk, order))]
    devices = _devices(cloud, order.device)
    if quirk.measure is Measure.ACTION:
        action = _UNDO[quirk.name] if order.off else _ACTIONS[quirk.name]
        return [each for device in devices for each in await action(cloud, device, order.module)]
    for device in devices:
        _switch_on_device(device, quirk, order)
    return [QuirkEffect(where=each.name, what=_words(quirk, order)) for each in devices]


def _check(quirk: Quirk, order: QuirkOrder) -> None:
    takes_value = quirk.measure in (Measure.SECONDS, Measure.TIMES)
    if order.value is not None and (order.off or not takes_value):
        raise QuirkError(f"{quirk.name}: --value; rule: for seconds and times, when turned on")
    if quirk.system is System.HUB and order.device is not None:
        raise QuirkError(f"{quirk.name}: --device; rule: the hub has it, not a device")
    if order.module is not None and quirk.name not in _OF_A_MODULE:
        raise QuirkError(f"{quirk.name}: --module; rule: for {' and '.join(_OF_A_MODULE)}")
    if quirk.measure is Measure.ACTION and order.off and quirk.name not in _UNDO:
        raise QuirkError(f"{quirk.name}: --off; rule: what has happened cannot be turned off")


def _devices(cloud: "LocalCloud", name: str | None) -> "list[LocalDevice]":
    if name is None:
        if not cloud.devices:
            raise QuirkError("no IoT Edge device runs in this world; rule: --edge-device")
        return list(cloud.devices.values())
    device = cloud.devices.get(name)
    if device is None:
        known = ", ".join(sorted(cloud.devices)) or "none"
        raise QuirkError(f"no IoT Edge device {name!r} runs here; rule: one of {known}")
    return [device]


def _switch_on_device(device: "LocalDevice", quirk: Quirk, order: QuirkOrder) -> None:
    if quirk.system is System.DEVICE:
        device.set_online(order.off)
    else:
        is_edgehub = quirk.system is System.EDGEHUB
        _switch(device.edgehub.quirks if is_edgehub else device.edgeagent.quirks, quirk, order)


def _switch(board: QuirkBoard, quirk: Quirk, order: QuirkOrder) -> None:
    if order.off:
        board.turn_off(quirk.name)
    else:
        board.turn_on(quirk.name, order.value)


def _words(quirk: Quirk, order: QuirkOrder) -> str:
    if order.off:
        return f"{quirk.name} off"
    if quirk.measure is Measure.SWITCH:
        return f"{quirk.name} on"
    number = quirk.default if order.value is None else order.value
    return f"{quirk.name} on: {number:g} {quirk.measure}"


def _cut(cut: Callable[["LocalDevice", str], bool], words: str) -> Action:
    """Return the action that ends the connection of one module, or of all that are connected."""

    async def action(
        _: "LocalCloud", device: "LocalDevice", module: str | None
    ) -> list[QuirkEffect]:
        modules = sorted(device.edgehub.connected_modules) if module is None else [module]
        if not modules:
            return [QuirkEffect(where=device.name, what="no module is connected: nothing done")]
        return [
            QuirkEffect(
                where=f"{device.name}/{name}",
                what=words if cut(device, name) else "is not connected: nothing done",
            )
            for name in modules
        ]

    return action


async def _change_ca(
    cloud: "LocalCloud", device: "LocalDevice", _module: str | None
) -> list[QuirkEffect]:
    await cloud.change_authority(device.name)
    return [QuirkEffect(where=device.name, what="edgeHub serves with a certificate of another CA")]


async def _restore_ca(
    cloud: "LocalCloud", device: "LocalDevice", _module: str | None
) -> list[QuirkEffect]:
    await cloud.restore_authority(device.name)
    return [QuirkEffect(where=device.name, what="edgeHub serves with the world's own CA again")]


async def _stop_edgehub(
    _cloud: "LocalCloud", device: "LocalDevice", _module: str | None
) -> list[QuirkEffect]:
    await device.edgehub.stop()
    return [QuirkEffect(where=device.name, what="edgeHub stopped")]


async def _start_edgehub(
    _cloud: "LocalCloud", device: "LocalDevice", _module: str | None
) -> list[QuirkEffect]:
    await device.edgehub.start()
    return [QuirkEffect(where=device.name, what="edgeHub started")]


_OF_A_MODULE: Final = ("drop-connection", "expire-sas")
_ACTIONS: Final[Mapping[str, Action]] = MappingProxyType(
    {
        "drop-connection": _cut(lambda d, m: d.edgehub.drop_connection(m), "connection cut"),
        "expire-sas": _cut(lambda d, m: d.edgehub.expire_sas(m), "token ended, connection closed"),
        "change-ca": _change_ca,
        "stop-edgehub": _stop_edgehub,
        "start-edgehub": _start_edgehub,
    }
)
_UNDO: Final[Mapping[str, Action]] = MappingProxyType(
    {"change-ca": _restore_ca, "stop-edgehub": _start_edgehub}
)
