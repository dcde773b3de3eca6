"""What the smoke test's process says to the stager: two short lines of JSON over a pipe.

The first says that it has begun, before it touches the model: whatever happens without it is not
the model's doing. The second says how it ended. Nothing else is an answer.
"""

from dataclasses import dataclass
from typing import Annotated, Final

from pydantic import Field

from taktgate.contracts.codec import STRICT_DOCUMENT, ContractError, Finite, decode, encode
from taktgate.staging.smoke.findings import Finding

LIMIT_BYTES: Final = 8192
"""Of both lines."""

Message = Annotated[str, Field(max_length=500)]
Count = Annotated[int, Field(ge=0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """The process is limited and confined, and turns to the model now."""

    __pydantic_config__ = STRICT_DOCUMENT

    runtime: Annotated[str, Field(max_length=64)]
    """ONNX Runtime's version."""
    unconfined: Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(max_length=16)]
    """Measures that this kernel or container does not permit; see `confinement.Measure`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passed:
    """The model has run as its manifest says."""

    __pydantic_config__ = STRICT_DOCUMENT

    runs: Count
    golden_images: Count
    """How many golden images were shown; 0: they are not in the bundle, and not in this image."""
    golden_worst: Finite
    """The largest share of its tolerance that an image used up, 0..1."""
    run_ms: Finite
    """Processor time of a run, median, on one thread."""
    peak_mb: Count
    """Most memory of the process, runtime and interpreter included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """The model is at fault."""

    __pydantic_config__ = STRICT_DOCUMENT

    finding: Finding
    message: Message


@dataclass(frozen=True, slots=True, kw_only=True)
class Unable:
    """The fault is on our side: nothing is said of the model."""

    __pydantic_config__ = STRICT_DOCUMENT

    message: Message


Ending = Passed | Refused | Unable


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """One line: exactly one of these."""

    __pydantic_config__ = STRICT_DOCUMENT

    begun: Begun | None = None
    passed: Passed | None = None
    refused: Refused | None = None
    unable: Unable | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What was said.

    Attributes:
        begun: None: it has not turned to the model.
        ending: None: it has not said how it ended.
        rubbish: What is no answer about what it said; "" if nothing is.
    """

    begun: Begun | None = None
    ending: Ending | None = None
    rubbish: str = ""


def line(said: Begun | Ending) -> bytes:
    """Return the line that says *said*."""
    return encode(_line(said)) + b"\n"


def _line(said: Begun | Ending) -> _Line:
    match said:
        case Begun():
            return _Line(begun=said)
        case Passed():
            return _Line(passed=said)
        case Refused():
            return _Line(refused=said)
        case Unable():
            return _Line(unable=said)


def read(output: bytes) -> Answer:
    """Return what *output* says. It never raises: the sender may be a broken model."""
    if len(output) > LIMIT_BYTES:
        first = output[:LIMIT_BYTES].partition(b"\n")[0] + b"\n"
        begun = read(first).begun if len(first) < LIMIT_BYTES else None
        return Answer(begun=begun, rubbish=f"more than {LIMIT_BYTES} bytes")
    *lines, rest = output.split(b"\n")
    answer = Answer()
    for each in lines:
        answer = _and_then(answer, each)
    if rest and not answer.rubbish:
        return Answer(begun=answer.begun, rubbish="a line that is cut off")
    return answer


def _and_then(answer: Answer, text: bytes) -> Answer:
    """Return *answer* with one more line."""
    if answer.rubbish:
        return answer
    if answer.ending is not None:
        return Answer(begun=answer.begun, rubbish="a line too many")
    try:
        said = _only_one(decode(_Line, text))
    except (ContractError, ValueError) as error:
        return Answer(begun=answer.begun, rubbish=str(error)[:200])
    if isinstance(said, Begun):
        return Answer(begun=said) if answer.begun is None else _twice(answer)
    if answer.begun is None and not isinstance(said, Unable):
        return Answer(rubbish="an ending without a beginning")
    return Answer(begun=answer.begun, ending=said)


def _twice(answer: Answer) -> Answer:
    return Answer(begun=answer.begun, rubbish="two beginnings")


def _only_one(said: _Line) -> Begun | Ending:
    given = [each for each in (said.begun, said.passed, said.refused, said.unable) if each]
    if len(given) != 1:
        raise ValueError("a line must say exactly one thing")
    return given[0]
