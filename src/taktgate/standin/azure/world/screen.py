"""What `taktgate world` shows to people: tables and one-line summaries."""

import json
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Group
from rich.table import Table
from rich.text import Text

from taktgate.standin.azure.quirks import QUIRKS, Measure, Quirk
from taktgate.standin.azure.world.feed import FeedMessage
from taktgate.standin.azure.world.status import (
    AgentStatus,
    DeviceStatus,
    LightStatus,
    ModuleStatus,
    WorldStatus,
)

_BODY_SHOWN = 200
_DEVICES_SHOWN = 10


def status_view(status: WorldStatus) -> Group:
    """Return the world in one line, and the table of the IoT Edge devices and their modules."""
    table = Table(box=None, pad_edge=False)
    for name in ("device", "line", "edgeHub", "deployment", "module", "state", "twin", "queue"):
        table.add_column(name, overflow="fold")
    table.add_column("quirks", overflow="fold")
    for device in status.devices:
        _add_device(table, device)
    parts: list[Text | Table] = [Text(headline(status))]
    if status.light is not None:
        parts.append(Text(light_line(status.light)))
    if status.devices:
        parts.append(table)
    return Group(*parts)


def light_line(light: LightStatus) -> str:
    """Return the light devices in one line."""
    parts = [f"{light.devices} light devices: {light.online} online, {light.connected} connected"]
    named = (("ordered", light.ordered), ("live", light.live), ("phase", light.phases))
    for name, counts in named:
        if counts:
            words = ", ".join(f"{key} x{count}" for key, count in sorted(counts.items()))
            parts.append(f"{name} {words}")
    parts += [f"fault {each}" for each in light.faults]
    return "; ".join(parts)


def headline(status: WorldStatus) -> str:
    """Return the world in one line."""
    parts = [f"{status.registered} registered", *_edge_words(status.devices)]
    parts += [f"{status.deployments} deployments", f"{status.telemetry} messages at the hub"]
    return "  ".join([status.world_time, ", ".join(parts), *_quirk_words(status.quirks)])


def _edge_words(devices: Sequence[DeviceStatus]) -> Iterable[str]:
    if devices:
        online = sum(each.is_online for each in devices)
        modules = [module for device in devices for module in device.modules]
        connected = sum(each.is_connected for each in modules)
        yield f"{online} of {len(devices)} IoT Edge devices online"
        yield f"{connected} of {len(modules)} modules connected"


def quirk_table(quirks: Iterable[Quirk]) -> Table:
    """Return the table of everything that can be turned on."""
    table = Table(box=None, pad_edge=False)
    for name in ("quirk", "of", "number", "what it does", "what it copies"):
        table.add_column(name, overflow="fold")
    for quirk in quirks:
        table.add_row(quirk.name, quirk.system, number_words(quirk), quirk.does, quirk.copies)
    return table


def number_words(quirk: Quirk) -> str:
    """Return what a quirk's number is and what it is without being given, or a dash."""
    if quirk.measure in (Measure.SWITCH, Measure.ACTION):
        return str(quirk.measure)
    return f"{quirk.measure}, {quirk.default:g}"


def effect_lines(effects: Sequence[Mapping[str, str]]) -> Iterable[str]:
    """Return what an order did, one line for each device, or one for many that did the same."""
    for what in dict.fromkeys(each["what"] for each in effects):
        places = [each["where"] for each in effects if each["what"] == what]
        if len(places) > _DEVICES_SHOWN:
            yield f"{places[0]} to {places[-1]}, {len(places)} in all: {what}"
        else:
            yield from (f"{place}: {what}" for place in places)


def feed_line(message: FeedMessage) -> str:
    """Return a message of the feed in one line."""
    time = message.at[11:19]
    sender = f"{message.device}/{message.module}" if message.module else message.device
    body = message.body if isinstance(message.body, str) else _compact(message.body)
    shown = (
        body if len(body) <= _BODY_SHOWN else f"{body[:_BODY_SHOWN]}... ({len(body)} characters)"
    )
    properties = " ".join(f"{key}={value}" for key, value in message.properties.items())
    return "  ".join(part for part in (time, sender, message.output, shown, properties) if part)


def _add_device(table: Table, device: DeviceStatus) -> None:
    modules = device.modules or (None,)
    for number, module in enumerate(modules):
        is_first = number == 0
        table.add_row(
            *(_device_cells(device) if is_first else ("", "", "", "")),
            *_module_cells(module, device.queues),
            "\n".join(_quirk_words(device.quirks)) if is_first else "",
        )
    if upstream := device.queues.get("$upstream"):
        table.add_row("", "", "", "", "$upstream", "", "", str(upstream), "")


def _device_cells(device: DeviceStatus) -> tuple[str, str, str, str]:
    return (
        device.name,
        "online" if device.is_online else "[red]offline",
        "running" if device.is_edgehub_running else "[red]stopped",
        _deployment_words(device.agent, device.applied),
    )


def _deployment_words(agent: AgentStatus, applied: tuple[str, ...]) -> str:
    """Return what is applied, and the version asked for against the version acted on."""
    named = " + ".join(applied) or "none"
    if agent.code is None:
        return named
    acted = f"v{agent.last_desired_version} of {agent.desired_version}"
    fault = f" [red]{agent.code} {agent.description}" if agent.code != 200 else ""
    return f"{named}, {acted}{fault}"


def _module_cells(module: ModuleStatus | None, queues: Mapping[str, int]) -> tuple[str, ...]:
    if module is None:
        return "", "", "", ""
    state = module.runtime or "no process"
    connected = "connected" if module.is_connected else "not connected"
    versions = f"desired {module.desired_version}, reported {module.reported_version}"
    return module.name, f"{state}, {connected}", versions, str(queues.get(module.name, 0))


def _quirk_words(active: Mapping[str, float]) -> Iterable[str]:
    for name, value in active.items():
        measure = QUIRKS[name].measure
        has_number = measure in (Measure.SECONDS, Measure.TIMES)
        yield f"{name}: {value:g} {measure}" if has_number else name


def _compact(body: object) -> str:

    return json.dumps(body, separators=(",", ":"), ensure_ascii=False)
