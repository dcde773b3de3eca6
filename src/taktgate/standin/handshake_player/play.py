"""Plays scores, and says where the real things first leave the model's way."""

from collections import Counter
from dataclasses import dataclass, field

from taktgate.plc.link.backends import Backend
from taktgate.plc.link.logix import LogixLink
from taktgate.standin.handshake_model.report import in_words
from taktgate.standin.handshake_player.controller import Controller
from taktgate.standin.handshake_player.differences import Comparison
from taktgate.standin.handshake_player.stage import DivergenceError, Stage
from taktgate.standin.handshake_player.traces import Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """What became of one score."""

    name: str
    moves: int
    accepted: int
    rejected: int
    unsafe: int
    """Parts that the audit says may not have passed."""
    differences: tuple[str, ...]
    """After the last move that was played; nothing is played after a difference."""
    trace: tuple[str, ...]
    """In words, up to there."""

    @property
    def is_good(self) -> bool:
        """True when real things and model went the same way, and nothing unsafe passed."""
        return not self.differences and not self.unsafe


@dataclass(slots=True, kw_only=True)
class Tally:
    """What became of many."""

    traces: int = 0
    moves: int = 0
    accepted: int = 0
    rejected: int = 0
    unsafe: int = 0
    by_move: Counter[str] = field(default_factory=Counter)
    findings: list[Played] = field(default_factory=list)

    def add(self, score: Score, played: Played) -> None:
        """Count *played*."""
        self.traces += 1
        self.moves += played.moves
        self.accepted += played.accepted
        self.rejected += played.rejected
        self.unsafe += played.unsafe
        self.by_move.update(cue.taken.name for cue in score.cues[: played.moves])
        if not played.is_good:
            self.findings.append(played)


async def play(
    score: Score, *, controller: Controller | None = None, backend: Backend = LogixLink
) -> Played:
    """Play *score* on a stage of its own; a *controller* that is given must be a new one."""
    moves = accepted = rejected = 0
    differences: list[str] = []
    async with Stage(score.scenario, controller=controller, backend=backend) as stage:
        comparison = Comparison(stage)
        try:
            for cue in score.warm_up:
                await stage.make(cue)
                comparison.catch_up(cue)
            if score.warm_up:
                differences = comparison.differences(score.warm_up[-1]._replace(events=()))
            for cue in score.cues:
                if differences:
                    break
                moves += 1
                await stage.make(cue)
                passed = [part.is_accepted for part in stage.controller.gated]
                accepted += sum(passed)
                rejected += len(passed) - sum(passed)
                if comparison.is_over(cue):
                    break
                differences = comparison.differences(cue)
        except (DivergenceError, OSError) as error:
            differences = [str(error) or repr(error)]
        return Played(
            name=score.name,
            moves=moves,
            accepted=accepted,
            rejected=rejected,
            unsafe=stage.controller.unsafe,
            differences=tuple(differences),
            trace=tuple(in_words(cue.taken for cue in score.cues[:moves])),
        )
