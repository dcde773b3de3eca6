"""The scenarios: together they hold every fault that the handshake has to bear."""

from typing import Final

from taktgate.standin.handshake_model.plc_program import Presets
from taktgate.standin.handshake_model.scenario import Fault, Scenario

_SHORT: Final = Presets(deadline=2, gate=3)
_ALL: Final = (
    Scenario(
        name="calm",
        words="nothing fails, everybody is prompt: every part gets its verdict",
        parts=2,
        presets=_SHORT,
        is_prompt=True,
    ),
    Scenario(
        name="no-verdict",
        words="everybody is prompt, but the judge may say nothing",
        presets=_SHORT,
        is_prompt=True,
        is_silent=True,
    ),
    Scenario(
        name="fifth-slot",
        words="nothing fails, and the part lies in the fifth slot",
        jumps=(4,),
        presets=_SHORT,
        is_prompt=True,
    ),
    Scenario(
        name="reorder",
        words="two parts; verdicts come late, never, twice or in the wrong order",
        parts=2,
        presets=_SHORT,
        idle_steps=1,
    ),
    Scenario(
        name="held-up",
        words="the writer misses turns: it reads late and writes late",
        faults={Fault.HELD_UP: 2},
    ),
    Scenario(
        name="slow",
        words="an exchange takes its time, the world goes on between request and reply",
        faults={Fault.SLOW: 2},
    ),
    Scenario(
        name="loss",
        words="the session is lost; what was under way is lost, done, or done much later",
        presets=_SHORT,
        faults={Fault.LOSS: 1, Fault.SLOW: 1, Fault.GHOST: 1},
    ),
    Scenario(
        name="two-parts-loss",
        words="the session is lost between two parts",
        parts=2,
        presets=_SHORT,
        verdicts=(True,),
        faults={Fault.LOSS: 1, Fault.SLOW: 1},
        idle_steps=1,
    ),
    Scenario(
        name="differing-copies",
        words="a part is judged twice, by the model before and after a swap",
        faults={Fault.TWICE: 1, Fault.HELD_UP: 1},
    ),
    Scenario(
        name="differing-copies-loss",
        words="a part is judged twice, and the session is lost meanwhile",
        faults={Fault.TWICE: 1, Fault.LOSS: 1},
    ),
    Scenario(
        name="judge-restart",
        words="the judge restarts and judges a part again",
        faults={Fault.TWICE: 1, Fault.JUDGE_RESTARTS: 1},
        presets=_SHORT,
    ),
    Scenario(
        name="judge-out-of-order",
        words="a judge with another clock, another contract, without proof, or saying LATE",
        faults={Fault.FLAW: 1},
    ),
    Scenario(
        name="silent-judge",
        words="the judge dies; edgeHub delivers one of its beats later",
        faults={Fault.JUDGE_STOPS: 1, Fault.HELD_BEAT: 1},
        idle_steps=7,
    ),
    Scenario(
        name="silent-writer",
        words="the writer is killed, and starts again or not",
        presets=Presets(deadline=3, gate=8),
        faults={Fault.WRITER_RESTARTS: 1},
    ),
    Scenario(
        name="writer-restart",
        words="the writer is killed between two parts, its last request may still be executed",
        parts=2,
        presets=_SHORT,
        verdicts=(True,),
        faults={Fault.WRITER_RESTARTS: 1, Fault.SLOW: 1, Fault.GHOST: 1},
        idle_steps=5,
    ),
    Scenario(
        name="plc-restart",
        words="the PLC restarts, and numbers its parts as before",
        parts=2,
        presets=_SHORT,
        faults={Fault.PLC_RESTARTS: 1},
        idle_steps=3,
    ),
    Scenario(
        name="plc-renumber",
        words="the PLC restarts, and numbers its parts from elsewhere",
        parts=2,
        presets=_SHORT,
        faults={Fault.PLC_RENUMBERS: 1},
        idle_steps=3,
    ),
    Scenario(
        name="keyswitch",
        words="the program stops, and goes on after a first scan",
        presets=_SHORT,
        faults={Fault.PROGRAM: 1},
        idle_steps=9,
    ),
    Scenario(
        name="keyswitch-slow",
        words="the program stops while a write is under way",
        presets=_SHORT,
        faults={Fault.PROGRAM: 1, Fault.SLOW: 1},
        idle_steps=1,
    ),
    Scenario(
        name="skipped",
        words="TriggerId jumps over a part",
        jumps=(1, 2),
        presets=_SHORT,
    ),
    Scenario(
        name="same-slot",
        words="TriggerId rises by 8: two parts share a slot",
        parts=2,
        jumps=(8,),
        presets=_SHORT,
        faults={Fault.SLOW: 1},
        idle_steps=1,
    ),
    Scenario(
        name="torn-copy",
        words="a result is copied in two parts, with the program running in between",
        parts=2,
        jumps=(8,),
        presets=_SHORT,
        faults={Fault.SLOW: 2, Fault.TORN: 1},
        idle_steps=1,
    ),
    Scenario(
        name="reboot",
        words="host and PLC restart, ids and epochs begin as before, edgeHub's queue survives",
        parts=2,
        presets=_SHORT,
        verdicts=(True,),
        faults={Fault.REBOOT: 1, Fault.PLC_RESTARTS: 1},
        idle_steps=5,
    ),
    Scenario(
        name="reboot-beat",
        words="the host restarts, the judge does not; edgeHub's queue holds a beat",
        faults={Fault.REBOOT: 1, Fault.HELD_BEAT: 1},
        idle_steps=5,
    ),
    Scenario(
        name="local-lane-only",
        words="edgeHub's route is switched off, and the host reboots",
        presets=_SHORT,
        has_hub_lane=False,
        faults={Fault.REBOOT: 1},
    ),
    Scenario(
        name="hub-lane-only",
        words="the local lane is switched off: each verdict comes by edgeHub, late and twice",
        presets=_SHORT,
        has_local_lane=False,
        faults={Fault.TWICE: 1, Fault.HELD_UP: 1},
    ),
)
SCENARIOS: Final = {scenario.name: scenario for scenario in _ALL}
