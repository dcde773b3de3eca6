"""The stage: each move of the model, made to happen to the real things."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from taktgate.contracts.codec import encode
from taktgate.contracts.outcome import Lane
from taktgate.contracts.routes import KIND_BEAT, KIND_VERDICT
from taktgate.contracts.verdict import seal
from taktgate.edge.lane import Datagram
from taktgate.plc.contract.encoding import unpack
from taktgate.plc.contract.tags import STATUS
from taktgate.plc.contract.udt_profile import UdtProfile
from taktgate.plc.errors import ForeignWriterError
from taktgate.plc.link.backends import Backend
from taktgate.plc.link.logix import LogixLink
from taktgate.standin.handshake_model.envelopes import envelope_of
from taktgate.standin.handshake_model.facts import STEP_NS, Sheet
from taktgate.standin.handshake_model.model import is_free
from taktgate.standin.handshake_model.moves_faults import CLOCK_AT_BOOT
from taktgate.standin.handshake_model.moves_line import TURN
from taktgate.standin.handshake_model.plc_program import Numbers
from taktgate.standin.handshake_model.scenario import Scenario
from taktgate.standin.handshake_model.world import World
from taktgate.standin.handshake_model.writer_rules import beat_of
from taktgate.standin.handshake_player.controller import STEP_MS, Controller, settings_of
from taktgate.standin.handshake_player.ladder_twin import RUNGS, LadderTwin
from taktgate.standin.handshake_player.proxy import Held, Kind, Proxy
from taktgate.standin.handshake_player.schedule import Cue, Stand
from taktgate.standin.handshake_player.writer_thread import (
    At,
    StageChecker,
    Turn,
    WriterThread,
    setup_of,
)
from taktgate.standin.judge import STATION
from taktgate.standin.line.ladder import Rule, accepts

_LIMIT_S: Final = 20.0
"""Of real time, for anything that the writer does between two stops: it is a matter of ms."""
_OPENINGS: Final = 20
"""A machine under load may make the writer give up an opening, which only waits for 0.5 s."""


def controller_of(
    scenario: Scenario, *, rule: Rule = accepts, texts: tuple[str, ...] = RUNGS
) -> Controller:
    """Return a controller with the presets of *scenario*, program and ladder, both right or not."""
    settings = settings_of(scenario.presets)
    ladder = LadderTwin(base=0, deadline_ms=settings.deadline_ms, texts=texts)
    return Controller(settings, rule=rule, ladder=ladder)


class DivergenceError(Exception):
    """The real writer stopped elsewhere than the model's."""


class Stage:
    """One controller, one host, and the writer's starts on it, one after the other."""

    def __init__(
        self,
        scenario: Scenario,
        *,
        controller: Controller | None = None,
        backend: Backend = LogixLink,
    ) -> None:
        self._backend = backend
        self.controller = controller or controller_of(scenario)
        self.writer: WriterThread | None = None
        self._scenario = scenario
        self._stops: asyncio.Queue[At | Held] = asyncio.Queue()
        self._held: Held | None = None
        """What the writer waits for."""
        self._torn: tuple[int, bytes, int] | None = None
        self._ghosts: list[tuple[Held, tuple[int, bytes, int] | None]] = []
        self._held_beat: tuple[int, int] | None = None
        self._now = CLOCK_AT_BOOT
        self._moves: dict[str, Callable[[Cue, Any], Awaitable[None]]] = {
            "step": self._step,
            "scan": self._scan,
            "part": self._part,
            "judge": self._nothing,
            "read": self._read,
            "deliver": self._deliver,
            "write": self._write,
            "open": self._open,
            "start": self._start,
            "ask": self._ask,
            "send": self._send,
            "execute": self._execute,
            "misreport": self._misreport,
            "tear": self._tear,
            "reply": self._reply,
            "ghost": self._haunt,
            "lose": self._lose,
            "judge_stops": self._nothing,
            "judge_starts": self._nothing,
            "writer_dies": self._kill_writer,
            "reboot": self._reboot,
            "plc_restart": self._restart_plc,
            "program": self._stop_program,
            "run": self._run_program,
            "hold_beat": self._hold_beat,
            "old_beat": self._free_beat,
        }

    async def __aenter__(self) -> "Stage":
        """Power the controller up, and start the writer."""
        host, port = await self.controller.server.start("127.0.0.1", 0)
        self._checker = StageChecker(f"{host}:{port}", UdtProfile())
        self._proxy = Proxy((host, port), self._stops.put_nowait)
        self._address = await self._proxy.start()
        await self._start_writer(boot_id=1, epoch=0, boot=1)
        return self

    async def __aexit__(self, *_: object) -> None:
        """Leave nothing behind."""
        await self._end_writer(is_spared=False)
        await self._proxy.close()
        await self.controller.server.close()

    async def make(self, cue: Cue) -> None:
        """Make the move of *cue* happen.

        Raises:
            DivergenceError: the writer does something else.
        """
        await self._moves[cue.taken.name](cue, cue.taken.argument)

    # The line, the judge, the controller.

    async def _step(self, cue: Cue, how: str) -> None:
        before = cue.before
        self.controller.step()
        self._now += 1
        if before.judge.is_alive and self.writer is not None:
            self._slip_in_beat(self._now, before.boot)
        if how == TURN and is_free(before):
            self._thread.go(Turn.TICK)
            await self._carry_out()

    async def _scan(self, cue: Cue, _: None) -> None:
        self.controller.scan()

    async def _part(self, cue: Cue, jump: int) -> None:
        self.controller.scan(jump=jump)

    async def _nothing(self, cue: Cue, _: object) -> None:
        """The judge is the model's: its sheets become datagrams when they are delivered."""

    async def _restart_plc(self, cue: Cue, numbers: Numbers) -> None:
        self.controller.restart(numbers)
        for held, _ in self._ghosts:
            held.pipe.end()
        self._ghosts.clear()
        if cue.before.is_open and self._proxy.newest is not None:
            self._proxy.newest.fall_silent()

    async def _stop_program(self, cue: Cue, _: None) -> None:
        self.controller.stop_program()

    async def _run_program(self, cue: Cue, _: None) -> None:
        self.controller.run_program()

    async def _hold_beat(self, cue: Cue, _: None) -> None:
        self._held_beat = (self._now, cue.before.boot)

    async def _free_beat(self, cue: Cue, _: None) -> None:
        assert self._held_beat is not None
        self._slip_in_beat(*self._held_beat)

    # The writer.

    async def _start(self, cue: Cue, _: None) -> None:
        writer, boot = cue.after.world.writer, cue.after.world.boot
        assert writer is not None
        await self._start_writer(boot_id=writer.boot_id, epoch=writer.epoch, boot=boot)

    async def _open(self, cue: Cue, _: None) -> None:
        for _attempt in range(_OPENINGS):
            self._thread.go(Turn.TICK)
            stop = await self._next_stop()
            if isinstance(stop, Held):
                self._expect(stop, Kind.READ)
                return
            self._expect_at(stop, At.WAIT)
        raise DivergenceError(f"the writer opens no session: {self._thread.session.error}")

    async def _read(self, cue: Cue, _: None) -> None:
        await self._ask(cue, None)
        await self._reply(cue, None)

    async def _ask(self, cue: Cue, _: None) -> None:
        if self._held is None:
            self._thread.go(Turn.TICK)
            self._expect(await self._next_stop(), Kind.READ)
        await self._request.execute()

    async def _deliver(self, cue: Cue, number: int) -> None:
        if self._held is None and not self._thread.is_at_inbox:
            self._thread.go(Turn.TAKE_IN)
            self._expect_at(await self._next_stop(), At.INBOX)
        self._thread.give(self._datagram(cue.before.sheets[number], cue.before))
        self._expect_at(await self._next_stop(), At.INBOX)
        if cue.after.stand is not Stand.TAKES_IN:
            self._thread.give(None)
            await self._settle(cue)

    async def _send(self, cue: Cue, _: None) -> None:
        if self._held is None:
            self._thread.give(None)
            self._expect(await self._next_stop(), Kind.WRITE)

    async def _write(self, cue: Cue, _: None) -> None:
        await self._send(cue, None)
        await self._request.execute()
        await self._reply(cue, None)

    async def _execute(self, cue: Cue, _: int) -> None:
        await self._carry_on(self._request, self._torn)
        self._torn = None

    async def _misreport(self, cue: Cue, _: int) -> None:
        self._torn = None
        await self._request.execute(instead=self.controller.undone(self._request))

    async def _tear(self, cue: Cue, pieces: int) -> None:
        slot, content = self._request.first_result()
        self.controller.tear(slot, content, pieces)
        self._torn = (slot, content, pieces)

    async def _reply(self, cue: Cue, _: None) -> None:
        held, self._held = self._request, None
        held.reply()
        await self._settle(cue)

    async def _haunt(self, cue: Cue, number: int) -> None:
        held, torn = self._ghosts.pop(number)
        await self._carry_on(held, torn)
        held.pipe.end()

    async def _lose(self, cue: Cue, which: int) -> None:
        held = self._cut(is_spared=which == 1)
        if held is None:
            # The writer notices with its next exchange.
            self._thread.go(Turn.TICK)
        self._expect_at(await self._next_stop(), At.WAIT)

    async def _kill_writer(self, cue: Cue, which: int) -> None:
        await self._end_writer(is_spared=which == 1)

    async def _reboot(self, cue: Cue, _: None) -> None:
        await self._end_writer(is_spared=False)
        self._now = CLOCK_AT_BOOT

    # What the moves have in common.

    @property
    def _thread(self) -> WriterThread:
        if self.writer is None:
            raise DivergenceError("there is no writer")
        return self.writer

    @property
    def _request(self) -> Held:
        if self._held is None:
            raise DivergenceError("the writer waits for no reply")
        return self._held

    async def _start_writer(self, *, boot_id: int, epoch: int, boot: int) -> None:
        scenario = self._scenario
        lanes = {Lane.LOCAL: scenario.has_local_lane, Lane.EDGEHUB: scenario.has_hub_lane}
        self.writer = WriterThread(
            setup=setup_of(
                boot_id=boot_id,
                kernel_boot=boot,
                station=STATION,
                address=self._address,
                reserve_ms=scenario.reserve_steps * STEP_MS,
                lanes=frozenset(lane for lane, is_on in lanes.items() if is_on),
                reads_back=scenario.reads_back,
            ),
            link=self._backend(self._address, reply_timeout_s=_LIMIT_S),
            checker=self._checker,
            clock=lambda: self._now * STEP_NS,
            first_epoch=epoch,
            tell=self._stops.put_nowait,
        )
        self.writer.start()
        self._expect_at(await self._next_stop(), At.WAIT)

    async def _end_writer(self, *, is_spared: bool) -> None:
        """Kill the process: whatever it still does reaches nobody."""
        writer = self.writer
        if writer is None:
            return
        self._cut(is_spared=is_spared)
        writer.kill()
        while not writer.has_ended:
            await self._next_stop()
        self.writer = None

    def _cut(self, *, is_spared: bool) -> Held | None:
        """Cut the writer's session; return the request that it waited for."""
        held, self._held = self._held, None
        torn, self._torn = self._torn, None
        if self._proxy.newest is not None:
            self._proxy.newest.reset(is_controller_spared=is_spared)
        if is_spared and held is not None:
            self._ghosts.append((held, torn))
        return held

    async def _carry_on(self, held: Held, torn: tuple[int, bytes, int] | None) -> None:
        """Have the controller execute a request, or what is left of it."""
        if torn is not None:
            held.replace_first_result(self.controller.rest_of(*torn))
        await held.execute()

    async def _carry_out(self) -> None:
        """Let the whole turn of the writer happen in no time."""
        while isinstance(stop := await self._next_stop(), Held):
            await stop.execute()
            stop.reply()
        self._note_end(stop)

    async def _settle(self, cue: Cue) -> None:
        """Wait until the writer has stopped where the model's stands after *cue*."""
        while isinstance(stop := await self._next_stop(), Held):
            if stop.kind is Kind.WRITE and cue.after.stand is Stand.WRITES:
                self._held = stop
                return
            if not self._is_harmless(stop):
                raise DivergenceError(f"the writer sends a {stop.kind} that the model does not")
            await stop.execute()
            stop.reply()
        if cue.after.stand is not Stand.WAITS:
            raise DivergenceError(f"the writer stands {stop}, the model's: {cue.after.stand}")
        self._note_end(stop)

    def _is_harmless(self, held: Held) -> bool:
        """Tell whether a write changes nothing that the model looks at: Fault is not in it."""
        if held.kind is not Kind.WRITE or held.has_result:
            return False
        new, old = unpack(STATUS, held.status()), self.controller.status()
        return all(
            int(new[name]) == old[name] for name in ("Heartbeat", "BootId", "LastSeq", "Ready")
        )

    def _note_end(self, stop: At | Held) -> None:
        if stop is At.ENDED:
            writer, self.writer = self._thread, None
            if not isinstance(writer.error, ForeignWriterError):
                raise DivergenceError(f"the writer ends: {writer.error!r}")

    async def _next_stop(self) -> At | Held:
        try:
            async with asyncio.timeout(_LIMIT_S):
                stop = await self._stops.get()
        except TimeoutError:
            raise DivergenceError(f"the writer has not stopped for {_LIMIT_S:.0f} s") from None
        if self.writer is not None:
            self.writer.is_at_inbox = stop is At.INBOX
            self.writer.has_ended = stop is At.ENDED
        return stop

    def _expect(self, stop: At | Held, kind: Kind) -> None:
        if not isinstance(stop, Held) or stop.kind is not kind:
            raise DivergenceError(f"the writer should send a {kind}, it stands {_words(stop)}")
        self._held = stop

    def _expect_at(self, stop: At | Held, at: At) -> None:
        if stop is not at:
            error = f": {self._thread.error!r}" if stop is At.ENDED else ""
            raise DivergenceError(f"the writer should stand {at}, it stands {_words(stop)}{error}")

    def _slip_in_beat(self, sent: int, boot: int) -> None:
        lane = Lane.EDGEHUB if self._scenario.has_hub_lane else Lane.LOCAL
        beat = encode(beat_of(sent, boot))
        self._thread.slip_in(Datagram(kind=KIND_BEAT, lane=lane, payload=beat))

    def _datagram(self, sheet: Sheet, world: World) -> Datagram:
        is_local = self._scenario.has_local_lane and sheet in world.local
        lane = Lane.LOCAL if is_local else Lane.EDGEHUB
        payload = encode(seal(envelope_of(sheet)))
        return Datagram(kind=KIND_VERDICT, lane=lane, payload=payload)


def _words(stop: At | Held) -> str:
    return f"before a {stop.kind}" if isinstance(stop, Held) else str(stop)
