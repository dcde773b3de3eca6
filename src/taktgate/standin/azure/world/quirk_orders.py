"""An order to turn a quirk on or off, or to let one happen, carried to the system that has it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
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
    """What somebody wants of a quirk. Without a device: all that run here and can have it."""

    __pydantic_config__ = STRICT_DOCUMENT

    name: str
    device: str | None = None
    """A name, or a pattern with `*` and `?`."""
    module: str | None = None
    value: Finite | None = None
    off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class QuirkEffect:
    """What an order did, and where."""

    where: str
    what: str


Action: TypeAlias = Callable[["LocalCloud", str, str | None], Awaitable[list[QuirkEffect]]]
"""Called with the world, a device and, if one was named, a module."""


async def carry_out(cloud: "LocalCloud", order: QuirkOrder) -> list[QuirkEffect]:
    """Do what *order* says. An order that breaks a rule changes nothing.

    Raises:
        QuirkError: There is no such quirk or device, or a number is out of range.
        PortInUseError: edgeHub shall start and its port was taken meanwhile.
    """
    quirk = QUIRKS.get(order.name)
    if quirk is None:
        raise QuirkError(f"no quirk {order.name!r}; rule: one of {', '.join(sorted(QUIRKS))}")
    _check(quirk, order)
    if quirk.system is System.HUB:
        _switch(cloud.hub.quirks, quirk, order)
        return [QuirkEffect(where="hub", what=_words(quirk, order))]
    names = _meant(cloud, quirk, order.device)
    if quirk.measure is Measure.ACTION:
        action = _UNDO[quirk.name] if order.off else _ACTIONS[quirk.name]
        return [each for name in names for each in await action(cloud, name, order.module)]
    for name in names:
        _switch_on_device(cloud, name, quirk, order)
    return [QuirkEffect(where=name, what=_words(quirk, order)) for name in names]


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


def _meant(cloud: "LocalCloud", quirk: Quirk, pattern: str | None) -> list[str]:
    """Return the devices that a name or pattern means; light ones have no edgeHub and edgeAgent."""
    names = list(cloud.devices)
    if quirk.name in _OF_LIGHT_DEVICES:
        names += [name for fleet in cloud.fleets for name in fleet.devices]
    if not names:
        raise QuirkError("no IoT Edge device runs in this world; rule: --edge-device")
    meant = [name for name in names if pattern is None or fnmatchcase(name, pattern)]
    if not meant:
        some = ", ".join(sorted(names)[:_NAMES_SHOWN])
        more = ", ..." if len(names) > _NAMES_SHOWN else ""
        raise QuirkError(f"no IoT Edge device {pattern!r} runs here; rule: one of {some}{more}")
    return meant


def _switch_on_device(cloud: "LocalCloud", name: str, quirk: Quirk, order: QuirkOrder) -> None:
    if quirk.system is System.DEVICE:
        cloud.hub.link(name).set_online(order.off)
        return
    device = cloud.devices[name]
    is_edgehub = quirk.system is System.EDGEHUB
    _switch(device.edgehub.quirks if is_edgehub else device.edgeagent.quirks, quirk, order)


def _switch(board: QuirkBoard, quirk: Quirk, order: QuirkOrder) -> None:
    if order.off:
        board.turn_off(quirk.name)
    else:
        board.turn_on(quirk.name, order.value)


def _words(quirk: Quirk, order: QuirkOrder) -> str:
    if quirk.system is System.DEVICE:
        return "line to the hub mended" if order.off else "line to the hub cut"
    if order.off:
        return f"{quirk.name} off"
    if quirk.measure is Measure.SWITCH:
        return f"{quirk.name} on"
    number = quirk.default if order.value is None else order.value
    return f"{quirk.name} on: {number:g} {quirk.measure}"


async def _drop_connection(cloud: "LocalCloud", name: str, module: str | None) -> list[QuirkEffect]:
    device = cloud.devices.get(name)
    if device is not None:
        return _cut(device, module, device.edgehub.drop_connection, "connection cut")
    cloud.hub.link(name).cut(module)
    return [QuirkEffect(where=name if module is None else f"{name}/{module}", what="cut")]


async def _expire_sas(cloud: "LocalCloud", name: str, module: str | None) -> list[QuirkEffect]:
    device = cloud.devices[name]
    return _cut(device, module, device.edgehub.expire_sas, "token ended, connection closed")


def _cut(
    device: "LocalDevice", module: str | None, cut: Callable[[str], bool], words: str
) -> list[QuirkEffect]:
    """End the connection of one module, or of all that are connected."""
    modules = sorted(device.edgehub.connected_modules) if module is None else [module]
    if not modules:
        return [QuirkEffect(where=device.name, what="no module is connected: nothing done")]
    return [
        QuirkEffect(
            where=f"{device.name}/{name}",
            what=words if cut(name) else "is not connected: nothing done",
        )
        for name in modules
    ]


async def _change_ca(cloud: "LocalCloud", name: str, _module: str | None) -> list[QuirkEffect]:
    await cloud.change_authority(name)
    return [QuirkEffect(where=name, what="edgeHub serves with a certificate of another CA")]


async def _restore_ca(cloud: "LocalCloud", name: str, _module: str | None) -> list[QuirkEffect]:
    await cloud.restore_authority(name)
    return [QuirkEffect(where=name, what="edgeHub serves with the world's own CA again")]


async def _stop_edgehub(cloud: "LocalCloud", name: str, _module: str | None) -> list[QuirkEffect]:
    await cloud.devices[name].edgehub.stop()
    return [QuirkEffect(where=name, what="edgeHub stopped")]


async def _start_edgehub(cloud: "LocalCloud", name: str, _module: str | None) -> list[QuirkEffect]:
    await cloud.devices[name].edgehub.start()
    return [QuirkEffect(where=name, what="edgeHub started")]


_NAMES_SHOWN: Final = 10
_OF_A_MODULE: Final = ("drop-connection", "expire-sas")
_OF_LIGHT_DEVICES: Final = ("offline", "drop-connection")
_ACTIONS: Final[Mapping[str, Action]] = MappingProxyType(
    {
        "drop-connection": _drop_connection,
        "expire-sas": _expire_sas,
        "change-ca": _change_ca,
        "stop-edgehub": _stop_edgehub,
        "start-edgehub": _start_edgehub,
    }
)
_UNDO: Final[Mapping[str, Action]] = MappingProxyType(
    {"change-ca": _restore_ca, "stop-edgehub": _start_edgehub}
)
