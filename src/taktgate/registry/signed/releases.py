"""How far a bundle may go, and how it is taken back: the release states as a table. Pure."""

from typing import Any, Final

from taktgate.bundle.errors import FactsError
from taktgate.bundle.targets import CUSTOM_KEY, BundleFacts, HilStatus, ReleaseState
from taktgate.registry.errors import ReportError, TransitionError

S = ReleaseState
STEPS: Final = frozenset(
    {
        (S.REGISTERED, S.CI_PASSED),
        (S.CI_PASSED, S.HIL_PASSED),
        (S.HIL_PASSED, S.RELEASED),
        (S.CI_PASSED, S.RELEASED),
    }
)
"""The ways up; RELEASED straight from CI_PASSED needs a waiver. Down, to REVOKED, goes from all."""


def promoted(
    facts: BundleFacts, to: ReleaseState, *, waiver: str = "", report: str | None = None
) -> BundleFacts:
    """Return *facts* one step up; unchanged where they are there already.

    Args:
        facts: of a bundle.
        to: the next state.
        waiver: who waives HIL and why, for the one step that needs it.
        report: digest of the CI or HIL report ("sha256:...").

    Raises:
        TransitionError: there is no such step, or HIL is neither passed nor waived.
        ReportError: the report is missing, or is not the one that the manifest names.
    """
    if facts.state is to:
        return facts
    if (facts.state, to) not in STEPS:
        ways = sorted(after for before, after in STEPS if before is facts.state)
        raise TransitionError(f"{_named(facts)}: is {facts.state}, which can become {_any(ways)}")
    if to is S.CI_PASSED:
        return _with(facts, state=to, ci_report=report)
    if to is S.HIL_PASSED:
        return _with(facts, state=to, hil=HilStatus.PASSED, hil_report=_hil(facts, report))
    if facts.state is S.HIL_PASSED:
        return _with(facts, state=to)
    if not waiver.strip():
        raise TransitionError(f"{_named(facts)}: HIL must be passed, or waived with a reason")
    return _with(facts, state=to, hil=HilStatus.WAIVED, note=waiver)


def revoked(facts: BundleFacts, note: str) -> BundleFacts:
    """Return *facts* taken back, whatever they were.

    Raises:
        TransitionError: the note is too long, or there is none.
    """
    if not note.strip():
        raise TransitionError(f"{_named(facts)}: must be revoked with a reason")
    return _with(facts, state=S.REVOKED, note=note)


def require_floor(facts: BundleFacts) -> None:
    """Accept *facts* as the oldest that stations may run.

    Raises:
        TransitionError: it is not released: stations could be left without any.
    """
    if facts.state is not S.RELEASED:
        raise TransitionError(f"{_named(facts)}: must be released to be the floor")


def lowered(facts: BundleFacts, floor: BundleFacts) -> BundleFacts:
    """Return *facts* as the floor leaves them: what is older than it goes below it.

    What is revoked stays so, with its reason.
    """
    is_older = facts.name == floor.name and facts.serial < floor.serial
    if not is_older or facts.state is S.REVOKED:
        return facts
    return _with(facts, state=S.BELOW_FLOOR, note=f"older than {floor.version}")


def _hil(facts: BundleFacts, report: str | None) -> str:
    if report is None:
        raise ReportError(f"{_named(facts)}: hil_passed needs a HIL report")
    if facts.hil_report not in (None, report):
        raise ReportError(
            f"{_named(facts)}: the manifest names the HIL report {facts.hil_report}, got {report}"
        )
    return report


def _with(facts: BundleFacts, **changes: Any) -> BundleFacts:
    """Return *facts* with *changes*, checked as a station checks them."""
    document = facts.to_custom()[CUSTOM_KEY] | changes
    try:
        return BundleFacts.from_custom({CUSTOM_KEY: document})
    except FactsError as error:
        raise TransitionError(f"{_named(facts)}: {error.field}: {error.rule}") from error


def _named(facts: BundleFacts) -> str:
    return f"{facts.name} {facts.version} for {facts.device_class}"


def _any(ways: list[ReleaseState]) -> str:
    return " or ".join([*ways, S.REVOKED])
