"""JSON in and out for the contracts, with one error that names the field and the rule.

Unknown fields. edgeAgent updates modules one by one, so a reader meets documents of a newer minor
version, which may have more fields: those are passed over. In a document of our own version or an
older one an unknown field is an error, and so it is where nothing names a version: in desired
properties and settings it is somebody's typing error. Whether a document that can be read is to be
believed, its reader decides by `contract`: the PLC writer takes verdicts and beats of its own
version alone.
"""

import re
from collections.abc import Callable
from typing import Annotated, Any, Final, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError
from pydantic.config import ExtraValues
from pydantic_core import from_json

from taktgate.contracts import CONTRACT_VERSION

T = TypeVar("T")

STRICT_DOCUMENT: Final = ConfigDict(extra="forbid")
OPEN_DOCUMENT: Final = ConfigDict(extra="ignore")
"""Of a file that a module keeps, and that must not be lost over a field of whatever version."""
_UNKNOWN_FIELD: Final = frozenset({"extra_forbidden", "unexpected_keyword_argument"})
"""What pydantic calls it, in models and in dataclasses."""
_VERSION: Final = re.compile(r"[0-9]{1,4}\.[0-9]{1,4}")

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
"""A station, model or slot name: it may become a path, so it may not look like one."""
Version = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]{0,63}$")]
Digest = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
Order = Annotated[str, Field(min_length=1, max_length=128)]
Nanoseconds = Annotated[int, Field(ge=0)]
"""A moment on this host's CLOCK_MONOTONIC, or a duration."""
Finite = Annotated[float, Field(allow_inf_nan=False)]

_ADAPTERS: Final[dict[type, TypeAdapter[Any]]] = {}


class ContractError(ValueError):
    """A document breaks its contract. `field` says where, `rule` says how."""

    def __init__(self, document: str, field: str, rule: str) -> None:
        super().__init__(f"{document}: field {field!r}: {rule}")
        self.document = document
        self.field = field
        self.rule = rule


def adapter(document: type[T]) -> TypeAdapter[T]:
    """Return the validator of *document*: built once, since building costs milliseconds."""
    known = _ADAPTERS.get(document)
    if known is None:
        known = _ADAPTERS[document] = TypeAdapter(document)
    return known


def encode(document: object) -> bytes:
    """Return *document* as compact UTF-8 JSON."""
    return adapter(type(document)).dump_json(document)


def decode(document: type[T], payload: bytes | str) -> T:
    """Return the *document* in *payload*.

    Raises:
        ContractError: *payload* is no JSON or breaks the contract; names the first broken field.
    """
    validate = adapter(document).validate_json
    return _read(document, lambda extra: validate(payload, extra=extra), lambda: from_json(payload))


def parse(document: type[T], content: Any) -> T:
    """Return the *document* in *content*, a tree of JSON values that somebody else has parsed.

    Raises:
        ContractError: *content* breaks the contract; the first broken field is named.
    """
    validate = adapter(document).validate_python
    return _read(document, lambda extra: validate(content, extra=extra), lambda: content)


def _read(
    document: type[T], validate: Callable[[ExtraValues | None], T], content: Callable[[], Any]
) -> T:
    """Return what *validate* makes of *content*: with what we do not know only if it is newer.

    Raises:
        ContractError: it breaks the contract.
    """
    try:
        return validate(None)
    except ValidationError as error:
        fault = error
    if _is_unknown_fields_alone(fault) and _is_of_newer_minor(content()):
        try:
            return validate("ignore")
        except ValidationError as error:
            fault = error
    raise first_fault(document.__name__, fault)


def _is_unknown_fields_alone(fault: ValidationError) -> bool:
    found = fault.errors(include_url=False, include_context=False, include_input=False)
    return all(each["type"] in _UNKNOWN_FIELD for each in found)


def _is_of_newer_minor(content: Any) -> bool:
    """Tell whether *content* names a version of our major one that is newer than ours."""
    contract = content.get("contract") if isinstance(content, dict) else None
    if not isinstance(contract, str) or not _VERSION.fullmatch(contract):
        return False
    return is_compatible(contract) and _minor(contract) > _minor(CONTRACT_VERSION)


def _minor(contract: str) -> int:
    return int(contract.partition(".")[2])


def first_fault(document: str, error: ValidationError) -> ContractError:
    """Translate pydantic's report into the one error that this project shows."""
    fault = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(step) for step in fault["loc"]) or "(document)"
    return ContractError(document, field, fault["msg"])


def is_compatible(contract: str) -> bool:
    """Tell whether a peer that speaks *contract* may be trusted: the same major version."""
    return contract.partition(".")[0] == CONTRACT_VERSION.partition(".")[0]
