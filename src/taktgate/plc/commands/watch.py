"""`taktgate plc watch`: the tags of the contract, live. Read-only."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from typing import Any, Final, Protocol

from taktgate.plc.commands.check import EXIT_DIFFERS, EXIT_UNREACHABLE, add_target
from taktgate.plc.commands.snapshot import HEARTBEATS, HeartbeatAge, Snapshot, paths, snapshot, word
from taktgate.plc.errors import ContractMismatchError, LinkError

_RETRY_S: Final = 1.0
_STALE_S: Final = 0.5


def add_watch(commands: Any) -> None:
    """Add `watch` to the commands of `taktgate plc`."""
    watch = commands.add_parser(
        "watch",
        help="show the tags of the contract live, read-only",
        description="In a terminal a picture; elsewhere one line for each element that changed. "
        "After a loss it tries again each second. Exit code 1: the tags are not the contract's. "
        "2: no controller answers there.",
        epilog="example: taktgate plc watch --host 192.168.1.10/0 --once",
    )
    add_target(watch)
    watch.add_argument("--once", action="store_true", help="show one reading, and end")
    watch.add_argument("--json", action="store_true", help="one JSON document per change")
    watch.add_argument(
        "--interval-ms", type=_interval_ms, default=200, metavar="20..10000", help="default 200"
    )
    watch.set_defaults(run=_watch)


def _interval_ms(text: str) -> int:
    if not text.isdecimal() or not 20 <= int(text) <= 10_000:
        raise argparse.ArgumentTypeError(f"{text!r} must be within 20..10000")
    return int(text)


class Display(Protocol):
    """Where readings go."""

    def show(self, now: Snapshot, at_s: float) -> None:
        """Show one reading, taken *at_s* seconds after the start."""

    def lose(self, why: str) -> None:
        """Say that there is no reading, and why."""


def _watch(options: argparse.Namespace) -> int:
    has_seen = False
    started_s = time.monotonic()
    with _display(options) as display:
        while True:
            try:
                for now in _readings(options):
                    has_seen = True
                    display.show(now, time.monotonic() - started_s)
                return 0
            except ContractMismatchError as error:
                sys.stderr.write(f"taktgate: {error}; see: taktgate plc check\n")
                return EXIT_DIFFERS
            except LinkError as error:
                if options.once or not has_seen:
                    sys.stderr.write(f"taktgate: {error}\n")
                    return EXIT_UNREACHABLE
                display.lose(str(error))
                time.sleep(_RETRY_S)


def _readings(options: argparse.Namespace) -> Any:
    """Yield readings of one session; one only when that is what was asked for."""
    # Only here: pycomm3 is there in the writer's image alone.
    from taktgate.plc.contract.profiles import profile_named
    from taktgate.plc.contract.tag_check import check_tags
    from taktgate.plc.link.upload import ControllerReader

    with ControllerReader(options.host) as reader:
        check_tags(reader.upload.definitions, profile_named(options.profile).tags)
        wanted = paths(options.profile)
        while True:
            due_s = time.monotonic() + options.interval_ms / 1000
            yield snapshot(options.profile, reader.read(wanted))
            if options.once:
                return
            time.sleep(max(0.0, due_s - time.monotonic()))


def _display(options: argparse.Namespace) -> AbstractContextManager[Display]:
    write = sys.stdout.write
    if options.json:
        return nullcontext(JsonLines(write))
    if sys.stdout.isatty() and find_spec("rich"):
        from taktgate.plc.commands.watch_screen import Screen

        return Screen(f"{options.host}  profile {options.profile}", is_live=not options.once)
    return nullcontext(Lines(write))


class JsonLines:
    """Each reading that differs from the one before, whole, as one line of JSON."""

    def __init__(self, write: Callable[[str], Any]) -> None:
        self._write = write
        self._last: Snapshot | None = None

    def show(self, now: Snapshot, at_s: float) -> None:
        """Write *now* unless only heartbeats have changed."""
        if self._last is None or now.changes_since(self._last):
            self._write(json.dumps({"at_s": round(at_s, 3), **now.elements}) + "\n")
            sys.stdout.flush()
        self._last = now

    def lose(self, why: str) -> None:
        """Write why there is no reading; the next one is written whatever it holds."""
        self._write(json.dumps({"lost": why}) + "\n")
        self._last = None


class Lines:
    """The first reading whole, then one line per element that changed."""

    def __init__(self, write: Callable[[str], Any]) -> None:
        self._write = write
        self._last: Snapshot | None = None
        self._pulses = {element: Pulse() for element, _ in HEARTBEATS}

    def show(self, now: Snapshot, at_s: float) -> None:
        """Write what is new."""
        last, self._last = self._last, now
        for element, member in HEARTBEATS:
            news = self._pulses[element].news(now.elements[element][member], at_s)
            if news:
                self._say(at_s, element, f"{member} {news}")
        if last is None:
            for element, members in now.elements.items():
                self._say(at_s, element, _words(element, members))
            return
        for element, names in now.changes_since(last).items():
            before, after = last.elements[element], now.elements[element]
            said = (
                f"{name} {word(element, name, before[name])} -> {word(element, name, after[name])}"
                for name in names
            )
            self._say(at_s, element, ", ".join(said))

    def lose(self, why: str) -> None:
        """Write why there is no reading; the next one is written whole."""
        self._write(f"no reading: {why}\n")
        self._last = None

    def _say(self, at_s: float, element: str, text: str) -> None:
        self._write(f"{at_s:9.3f} s  {element:<15}  {text}\n")
        sys.stdout.flush()


def _words(element: str, members: Any) -> str:
    return ", ".join(f"{name} {word(element, name, value)}" for name, value in members.items())


class Pulse:
    """Tells when a heartbeat begins to move, and when it stands."""

    def __init__(self) -> None:
        self._age = HeartbeatAge()
        self._value: Any = None
        self._is_alive: bool | None = None

    def news(self, value: Any, now_s: float) -> str:
        """Return `moves` or `stands still` when that is new, else nothing."""
        has_moved = value not in (self._value, None) and self._value is not None
        self._value = value
        age_s = self._age.observe(value, now_s)
        if not has_moved and age_s <= _STALE_S:
            return ""
        was_alive, self._is_alive = self._is_alive, has_moved
        if was_alive is self._is_alive:
            return ""
        return "moves" if has_moved else "stands still"
