"""Commands of the control channel: each checked whole, then done; a wrong one changes nothing."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, TypeVar

from taktgate.plc.contract.tags import TAGS
from taktgate.standin.control.commands import (
    Command,
    ControlError,
    Event,
    check_fields,
    flag,
    number,
)
from taktgate.standin.line.controller import Controller
from taktgate.standin.line.program import Program
from taktgate.standin.line.standstill import Keyswitch
from taktgate.standin.logix.downloads import Change, Download
from taktgate.standin.logix.errors import DownloadError
from taktgate.standin.logix.faults import HEALTHY, Faults
from taktgate.standin.logix.memory import LoggedWrite, TagMemory
from taktgate.standin.logix.server import LogixServer

DEFAULT_WAIT_READY_S: Final = 30.0
DEFAULT_DOWNLOAD_MS: Final = 200.0
RESTORE: Final = "restore"
"""The download that brings the contract's own tags back."""
Choice = TypeVar("Choice", bound=StrEnum)
_HOUR_S: Final = 3600.0
_LONGEST_MS: Final = 60_000.0
_MOST_WRITES: Final = 200
"""Of one answer, which has to fit into a line of the channel."""
_ENOUGH_WRITES: Final = 100
_TAGS: Final = {tag.name: tag for tag in TAGS}
_FLAGS: Final = {
    "freeze": "is_frozen",
    "cut": "is_cut",
    "blackhole": "is_blackhole",
    "duplicate": "is_duplicating",
    "reorder": "is_reordering",
    "refuse": "is_refusing_sessions",
}
_COUNTS: Final = {"drop_every": 10_000, "cut_after_bytes": 10_000}
_TIMES_MS: Final = ("delay_ms", "drip_ms", "torn_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class Steered:
    """What the commands act on."""

    program: Program
    memory: TagMemory
    server: LogixServer
    controller: Controller
    status: Callable[[], Event]


class Steering:
    """Obeys the control channel."""

    def __init__(self, steered: Steered) -> None:
        self._program = steered.program
        self._memory = steered.memory
        self._server = steered.server
        self._controller = steered.controller
        self._status = steered.status
        self._actions: dict[str, Callable[[Command], Event]] = {
            "run": self._run,
            "stop": self._stop,
            "status": self._tell_status,
            "fault": self._set_faults,
            "reset": self._reset,
            "forget": self._forget,
            "download": self._download,
            "mode": self._turn,
            "power_cycle": self._cut_power,
            "freeze_logic": self._freeze_logic,
            "write_log": self._tell_writes,
        }

    def obey(self, command: Command) -> Event:
        """Do what *command* says; return the facts of the reply.

        Raises:
            ControlError: it breaks a rule; nothing has been done.
        """
        action = self._actions.get(command["do"])
        if action is None:
            raise ControlError("do", f"must be one of {', '.join(self._actions)}")
        return action(command)

    def _run(self, command: Command) -> Event:
        check_fields(command, ("parts", "rate", "wait_ready_s"))
        production = self._program.production
        if production.is_running or self._program.open_parts:
            raise ControlError("do", "parts are still on the line")
        highest = self._program.settings.highest_rate()
        parts = None
        if command.get("parts") is not None:
            parts = int(number(command, "parts", at_least=1, at_most=1_000_000))
        rate = number(command, "rate", at_least=0.01, at_most=highest)
        wait = number(
            {"wait_ready_s": DEFAULT_WAIT_READY_S, **command},
            "wait_ready_s",
            at_least=0,
            at_most=_HOUR_S,
        )
        production.run(parts=parts, rate=rate, wait_ready_s=wait)
        return {}

    def _stop(self, command: Command) -> Event:
        check_fields(command, ())
        self._program.production.stop()
        return {}

    def _tell_status(self, command: Command) -> Event:
        check_fields(command, ())
        return self._status()

    def _set_faults(self, command: Command) -> Event:
        check_fields(command, (*_FLAGS, *_COUNTS, *_TIMES_MS, "clear"))
        is_cleared = "clear" in command and flag(command, "clear")
        faults = HEALTHY if is_cleared else self._server.faults
        self._server.apply(_changed(faults, command))
        return {}

    def _reset(self, command: Command) -> Event:
        check_fields(command, ())
        self._server.reset()
        return {}

    def _forget(self, command: Command) -> Event:
        check_fields(command, ("sessions",))
        self._server.forget(sessions=flag({"sessions": False, **command}, "sessions"))
        return {}

    def _download(self, command: Command) -> Event:
        check_fields(command, ("change", "tag", "member", "off_ms", "keep_values"))
        off_ms = _time_ms({"off_ms": DEFAULT_DOWNLOAD_MS, **command}, "off_ms")
        download = None
        if command.get("change") != RESTORE:
            keeps_values = flag({"keep_values": True, **command}, "keep_values")
            download = Download(
                change=_one_of(Change, command, "change", RESTORE),
                tag=_text(command, "tag"),
                member=_text(command, "member"),
                keeps_values=keeps_values,
            )
        try:
            self._controller.download(download, off_ms=off_ms)
        except DownloadError as error:
            raise ControlError(error.field, error.rule) from error
        return {}

    def _turn(self, command: Command) -> Event:
        check_fields(command, ("mode",))
        self._controller.turn(_one_of(Keyswitch, command, "mode"))
        return {}

    def _cut_power(self, command: Command) -> Event:
        check_fields(command, ("off_ms",))
        self._controller.cut_power(_time_ms(command, "off_ms"))
        return {}

    def _freeze_logic(self, command: Command) -> Event:
        check_fields(command, ("on",))
        self._controller.freeze_logic(is_on=flag(command, "on"))
        return {}

    def _tell_writes(self, command: Command) -> Event:
        check_fields(command, ("tag", "element", "since_ns", "most"))
        most = int(
            number({"most": _ENOUGH_WRITES, **command}, "most", at_least=1, at_most=_MOST_WRITES)
        )
        since_ns = int(number({"since_ns": 0, **command}, "since_ns", at_least=0, at_most=2**63))
        found = [
            write
            for tag, element in _places(command)
            for write in self._memory.writes(tag, element, since_ns=since_ns)
            if write.at_ns > since_ns
        ]
        found.sort(key=lambda write: (write.at_ns, write.number))
        return {"writes": [_described(write) for write in found[:most]], "left": len(found[most:])}


def _changed(faults: Faults, command: Command) -> Faults:
    changes: dict[str, bool | int | float | None] = {}
    for field, name in _FLAGS.items():
        if field in command:
            changes[name] = flag(command, field)
    for field, most in _COUNTS.items():
        if field in command:
            changes[field] = int(number(command, field, at_least=0, at_most=most))
    for field in _TIMES_MS:
        if field in command:
            changes[field] = _time_ms(command, field)
    if changes.get("cut_after_bytes") == 0:
        changes["cut_after_bytes"] = None
    return replace(faults, **changes)  # type: ignore[arg-type]


def _time_ms(command: Command, field: str) -> float:
    return number(command, field, at_least=0, at_most=_LONGEST_MS)


def _text(command: Command, field: str) -> str:
    value = command.get(field, "")
    if not isinstance(value, str):
        raise ControlError(field, "must be a name")
    return value


def _one_of(choices: type[Choice], command: Command, field: str, *others: str) -> Choice:
    try:
        return choices(str(command.get(field)))
    except ValueError:
        names = ", ".join([*(choice.value for choice in choices), *others])
        raise ControlError(field, f"must be one of {names}") from None


def _places(command: Command) -> list[tuple[str, int]]:
    """Return the elements of the contract's tags that *command* asks for."""
    name = command.get("tag")
    if name is not None and name not in _TAGS:
        raise ControlError("tag", f"must be one of {', '.join(_TAGS)}")
    tags = [_TAGS[name]] if name is not None else list(TAGS)
    if "element" not in command:
        return [(tag.name, element) for tag in tags for element in range(tag.dimension or 1)]
    if len(tags) != 1:
        raise ControlError("element", "needs a tag")
    (tag,) = tags
    last = max(tag.dimension, 1) - 1
    return [(tag.name, int(number(command, "element", at_least=0, at_most=last)))]


def _described(write: LoggedWrite) -> Event:
    return {
        "at_ns": write.at_ns,
        "tag": write.tag,
        "element": write.element,
        "client": write.client,
        "request": write.request,
        "order": write.order,
        "content": write.content.hex(),
        "previous": write.previous.hex(),
    }
