"""A body of JSON as one of the documents."""

from typing import TypeVar

from pydantic import BaseModel, ValidationError

from taktgate.inspection.surface.errors import BadInputError

Document = TypeVar("Document", bound=BaseModel)


def parse_as(kind: type[Document], body: bytes) -> Document:
    """Return *body* as *kind*.

    Raises:
        BadInputError: 422, with field and rule.
    """
    try:
        return kind.model_validate_json(body)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        field = ".".join(str(step) for step in fault["loc"]) or "body"
        raise BadInputError(fault["msg"], field=field) from None
