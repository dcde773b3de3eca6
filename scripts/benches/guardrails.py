"""How many parts each guardrail takes to decide, and how often it is wrong: docs/guardrails.md.

Example: scripts/bench guardrails --config config --json guardrails.json

Trial, shadow and live rates are exact: every possible count is followed. Drift is simulated,
since its scores follow no formula. Nothing here depends on the machine. The line: a model that
rejects five times the baseline (5 % and more) is found within 60 parts in 99 % of trials. Exit 1
beyond it.
"""

import argparse
import json
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import accumulate
from pathlib import Path
from typing import Final

from taktgate.contracts.activation import Baseline
from taktgate.inspection.guardrails import (
    escape_or_disagreement,
    inference_failure,
    latency,
    over_reject,
)
from taktgate.inspection.guardrails.binomial import at_least
from taktgate.inspection.guardrails.drift import PageTest
from taktgate.inspection.guardrails.sequential import RatioTest
from taktgate.inspection.guardrails.settings import GuardrailSettings, load_guardrails
from taktgate.inspection.guardrails.shadow import disagreement_test

BASELINES: Final = (0.03, 0.05, 0.075, 0.1, 0.15)
FOUND_AT_LEAST: Final = 0.99
MAX_PARTS: Final = 60
_KNOWN: Final = 2000
_STREAMS: Final = 200
_STEADY_PARTS: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One question to one guardrail."""

    guardrail: str
    stage: str
    model: str
    found: float
    """Share of models that are sent back."""
    mean_parts: float | None
    """Until then, of those that are."""
    most_parts: int | None
    """Until then, in 99 of 100 of those that are."""


def decided(test: RatioTest, true_rate: float) -> dict[int, float]:
    """Return the chance of a breach at each part: every count of hits is followed."""
    alive, breaches = {0: 1.0}, {}
    for part in range(1, test.parts + 1):
        after: dict[int, float] = {}
        for hits, chance in alive.items():
            after[hits + 1] = after.get(hits + 1, 0.0) + chance * true_rate
            after[hits] = after.get(hits, 0.0) + chance * (1 - true_rate)
        gone = [hits for hits in after if test.is_breach(hits, part)]
        breaches[part] = sum(after.pop(hits) for hits in gone)
        alive = after
    return breaches


def row_of(guardrail: str, stage: str, model: str, breaches: dict[int, float]) -> Row:
    """Return the row of a distribution of breaches over parts."""
    found = sum(breaches.values())
    if found < 1e-9:
        return Row(
            guardrail=guardrail,
            stage=stage,
            model=model,
            found=found,
            mean_parts=None,
            most_parts=None,
        )
    mean = sum(part * chance for part, chance in breaches.items()) / found
    parts = sorted(breaches)
    reached = accumulate(breaches[part] for part in parts)
    most = next(
        (part for part, total in zip(parts, reached, strict=True) if total >= 0.99 * found),
        parts[-1],
    )
    return Row(
        guardrail=guardrail,
        stage=stage,
        model=model,
        found=found,
        mean_parts=round(mean, 1),
        most_parts=most,
    )


def trial_rows(settings: GuardrailSettings) -> Iterator[Row]:
    """Yield what a trial finds."""
    parts = settings.trial_parts
    for rate in BASELINES:
        known = Baseline(parts=_KNOWN, rejects=round(_KNOWN * rate))
        test = over_reject.trial_test(settings.over_reject, known, parts)
        for word, true in (("five times", 5 * rate), ("as", rate)):
            label = f"rejects {word} the baseline of {rate:.1%}"
            yield row_of("OVER_REJECT", "trial", label, decided(test, true))
    sound = Baseline(parts=_KNOWN, rejects=_KNOWN // 10)
    failing = inference_failure.trial_test(settings.inference_failure, sound, parts)
    for true in (0.001, 0.05, 0.1, 0.25):
        label = f"{true:.1%} of parts without an answer"
        yield row_of("INFERENCE_FAILURE", "trial", label, decided(failing, true))
    slow = latency.trial_test(settings.latency, sound, parts)
    for true in (0.01, 0.2, 0.5, 1.0):
        label = f"{true:.0%} of parts over the budget"
        yield row_of("LATENCY", "trial", label, decided(slow, true))


def shadow_rows(settings: GuardrailSettings) -> Iterator[Row]:
    """Yield what a shadow finds."""
    if not settings.shadow_parts:
        return
    test = disagreement_test(settings)
    for true in (0.005, 0.01, 0.05, 0.1, 0.25):
        label = f"disagrees on {true:.1%} of parts"
        yield row_of("ESCAPE_OR_DISAGREEMENT", "shadow", label, decided(test, true))


def live_rows(settings: GuardrailSettings) -> Iterator[Row]:
    """Yield what blocks and windows of the live model find; found is per block or window pair."""
    for rate in (0.05, 0.1):
        yield from _block_rows(settings, rate)
    rules = settings.inference_failure
    allowed = int(rules.window * rules.max_share)
    for true in (0.0001, 0.002, 0.005):
        chance = at_least(allowed + 1, rules.window, true)
        yield _window_row(
            "INFERENCE_FAILURE", f"{true:.2%} without an answer", chance, rules.window
        )
    windows = settings.latency
    allowed = int(windows.window * windows.over_budget_share)
    for true in (0.005, 0.01, 0.02, 0.05):
        chance = at_least(allowed + 1, windows.window, true) ** windows.windows_running
        parts = windows.window * windows.windows_running
        yield _window_row("LATENCY", f"{true:.1%} over the budget", chance, parts)


def _window_row(guardrail: str, model: str, chance: float, parts: int) -> Row:
    mean = None if chance < 1e-9 else round(parts / chance, 0)
    return Row(
        guardrail=guardrail,
        stage="live",
        model=model,
        found=chance,
        mean_parts=mean,
        most_parts=parts,
    )


def _block_rows(settings: GuardrailSettings, rate: float) -> Iterator[Row]:
    known = Baseline(parts=_KNOWN, rejects=round(_KNOWN * rate))
    parts = over_reject.block_parts(rate, settings.over_reject.min_parts)
    too_many = next(
        hits
        for hits in range(parts)
        if over_reject.of_block(hits, parts, known, settings.over_reject)
    )
    too_few = max(
        hits for hits in range(-1, parts) if hits < 0 or escape_of(hits, parts, known, settings)
    )
    for factor in (1.0, 1.5, 2.0, 3.0):
        label = f"rejects {factor:g} times {rate:.0%}"
        yield _window_row("OVER_REJECT", label, at_least(too_many, parts, factor * rate), parts)
    for factor in (1.0, 0.5, 0.25, 0.1):
        label = f"rejects {factor:g} times {rate:.0%}"
        chance = 1 - at_least(too_few + 1, parts, factor * rate)
        yield _window_row("ESCAPE_OR_DISAGREEMENT", label, chance, parts)


def escape_of(hits: int, parts: int, known: Baseline, settings: GuardrailSettings) -> bool:
    """Tell whether so few rejects are a breach."""
    rules = settings.escape_or_disagreement
    return escape_or_disagreement.of_block(hits, parts, known, rules) is not None


def drift_rows(settings: GuardrailSettings) -> Iterator[Row]:
    """Yield what Page's test finds on streams of simulated parts, and how soon."""
    yield _drift_row(settings, "images as ever", _grey, 0.0)
    yield _drift_row(settings, "scores as ever, 5 % defective", _score, 0.0)
    for shift in (0.5, 1.0, 2.0, 4.0):
        yield _drift_row(settings, f"images shifted by {shift:g} sd of a part", _grey, shift)
    yield _drift_row(settings, "scores risen by 0.15", _score, 0.15)


def _grey(rng: random.Random) -> float:
    return rng.gauss(0.0, 1.0)


def _score(rng: random.Random) -> float:
    return 0.95 if rng.random() < 0.05 else rng.betavariate(2, 20)


def _drift_row(
    settings: GuardrailSettings, model: str, draw: Callable[[random.Random], float], shift: float
) -> Row:
    limit = 1000 if shift else _STEADY_PARTS
    after: dict[int, float] = {}
    for seed in range(_STREAMS):
        rng = random.Random(seed)  # noqa: S311 - a simulation, repeatable by its seed; no secret
        test = PageTest(settings.drift)
        while test.is_learning:
            test.add(draw(rng))
        found = next((n for n in range(1, limit + 1) if test.add(draw(rng) + shift)), None)
        if found is not None:
            after[found] = after.get(found, 0.0) + 1 / _STREAMS
    return row_of("RESOURCE_OR_DRIFT", f"live, {limit} parts", model, after)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; say whether the line holds."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    options.add_argument(
        "--config", type=Path, help="folder of guardrails.yaml (default: defaults)"
    )
    options.add_argument("--json", type=Path, help="write the rows to this file as well")
    chosen = options.parse_args(arguments)
    settings = GuardrailSettings() if chosen.config is None else load_guardrails(chosen.config)
    makers = (trial_rows, shadow_rows, live_rows, drift_rows)
    rows = [row for maker in makers for row in maker(settings)]
    for row in rows:
        sys.stdout.write(as_markdown(row) + "\n")
    if chosen.json is not None:
        chosen.json.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n")
    missed = [
        row
        for row in rows
        if row.model.startswith("rejects five times") and "3.0" not in row.model and _is_missed(row)
    ]
    for row in missed:
        sys.stderr.write(f"beyond the line: {as_markdown(row)}\n")
    return int(bool(missed))


def _is_missed(row: Row) -> bool:
    return row.found < FOUND_AT_LEAST or row.most_parts is None or row.most_parts > MAX_PARTS


def as_markdown(row: Row) -> str:
    """Return *row* as a line of the table."""
    mean = "-" if row.mean_parts is None else f"{row.mean_parts:,.0f}"
    most = "-" if row.most_parts is None else f"{row.most_parts:,}"
    found = f"{100 * row.found:.3g} %"
    return f"| {row.guardrail} | {row.stage} | {row.model} | {found} | {mean} | {most} |"


if __name__ == "__main__":
    sys.exit(main())
