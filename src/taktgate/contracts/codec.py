"""JSON in and out for the contracts, with one error that names the field and the rule."""

from typing import Annotated, Any, Final, TypeVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from taktgate.contracts import CONTRACT_VERSION

T = TypeVar("T")

STRICT_DOCUMENT = ConfigDict(extra="forbid")

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
    try:
        return adapter(document).validate_json(payload)
    except ValidationError as error:
        raise first_fault(document.__name__, error) from None


def parse(document: type[T], content: Any) -> T:
    """Return the *document* in *content*, a tree of JSON values that somebody else has parsed.

    Raises:
        ContractError: *content* breaks the contract; the first broken field is named.
    """
    try:
        return adapter(document).validate_python(content)
    except ValidationError as error:
        raise first_fault(document.__name__, error) from None


def first_fault(document: str, error: ValidationError) -> ContractError:
    """Translate pydantic's report into the one error that this project shows."""
    fault = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(step) for step in fault["loc"]) or "(document)"
    return ContractError(document, field, fault["msg"])


def is_compatible(contract: str) -> bool:
    """Tell whether a peer that speaks *contract* may be trusted: the same major version."""
    return contract.partition(".")[0] == CONTRACT_VERSION.partition(".")[0]
