"""Plays the model's traces on the real writer, over real TCP, before the real PLC program.

`handshake_model` proves the rules; this package holds that what runs is what was proved. A trace
is a list of the model's moves. A *score* adds, for each move, the state that the model is in
afterwards; the *stage* makes each move happen to the real things, and every difference between the
two is a finding.

    schedule ──► score ──► play ──► differences
                            │
                          stage ──► writer_thread   the real Writer, Session, Intake, LogixLink
                            ├─────► proxy           holds, executes, tears and drops its requests
                            └─────► controller      the real server, program, ladder rungs and audit

Host and PLC have a virtual clock each; an exchange takes no time except where a trace says so.

Where the model says less than the real thing, or more, this is what is compared:

====================  ==============================================================================
VIS01_Result          all that the ladder looks at, and ErrorCode; not Score, AgeMs, ModelRev,
                      DefectCode, DefectCount, which no rule looks at
VIS01_Sts             Heartbeat, BootId, LastSeq, Ready. Fault and the counters are not in the
                      model: a write that changes nothing else is let through at once
VIS01_Cmd             TriggerId, AckSeq, and PlcHeartbeat counted from where the trace began; the
                      model beats in each step from power-up on, so the real pulse is started then
parts                 all fields; of an envelope only whose it is
beats                 go into the intake at once, also while the writer waits for a reply
back-off              left out: a session is opened when the trace says so
hold-ups              the writer can be held where it waits for the world: between two turns, at its
                      inbox, at the controller. The model may hold it anywhere; such traces are not
                      played (`schedule`)
ladder rungs          run beside the program on the same tags and have to say the same, except for
                      parts that a newer part in the same slot has taken from them: those they
                      must reject
a first scan          program and rungs reject for good what was on the line before it, the model
                      goes on with it: such a part is only held to being rejected, and a trace ends
                      where the model consumes a result for it
the keyswitch word    stays on Run in the identity: a stop has to be found by the heartbeat alone
====================  ==============================================================================
"""
