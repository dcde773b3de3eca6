"""How modules name a model to each other."""

from dataclasses import dataclass

from taktgate.contracts.codec import STRICT_DOCUMENT, Digest, Name, Version


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRef:
    """One bundle: what people call it, and the digest that says which bytes are meant."""

    __pydantic_config__ = STRICT_DOCUMENT

    name: Name
    version: Version
    digest: Digest
