"""Request bodies of the HTTP functions: read and validated."""

import json
import re
from math import isfinite
from typing import Annotated, Any, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError
from pydantic.functional_validators import AfterValidator
from starlette.requests import ClientDisconnect, Request

from lib.api.errors import FunctionError, invalid_fields


def _storable(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not contain the NUL character")
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ValueError("must be valid Unicode") from None
    return text


def _scalar(value: Any) -> Any:
    if isinstance(value, str):
        return _storable(value)
    if isinstance(value, float) and not isfinite(value):
        # 1e400 is valid JSON, but Python parses it as infinity, which is not.
        raise ValueError("must fit in a double-precision number")
    if isinstance(value, dict | list):
        raise ValueError("must be text, a number, true, false, null or a list of these")
    return value


def _model_input(value: Any) -> Any:
    return [_scalar(item) for item in value] if isinstance(value, list) else _scalar(value)


def _json_object(value: dict[str, Any]) -> dict[str, Any]:
    try:
        text = _storable(json.dumps(value, ensure_ascii=False, allow_nan=False))
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    if re.search(r"(?<!\\)(\\\\)*\\u0000", text):
        raise ValueError("must not contain the NUL character")
    return value


Text = Annotated[str, AfterValidator(_storable)]
Prompt = Annotated[
    str,
    StringConstraints(strip_whitespace=True, min_length=1, max_length=10_000),
    AfterValidator(_storable),
]


class RunShare(BaseModel):
    """The jobs that a request adds to a test run, and how many become due per second."""

    model_config = ConfigDict(extra="forbid")

    id: UUID
    jobs: Annotated[int, Field(ge=1, le=500, strict=True)] = 1
    per_second: Annotated[float, Field(gt=0, le=100, allow_inf_nan=False)] | None = None


class StartGeneration(BaseModel):
    """Body of start-generation. Any other fields are inputs, which the database checks."""

    model_config = ConfigDict(extra="allow", protected_namespaces=())
    __pydantic_extra__: dict[Text, Annotated[Any, AfterValidator(_model_input)]]

    prompt: Prompt | None = None
    model_id: Annotated[Text, Field(min_length=1, max_length=200)]
    user_id: UUID | None = None
    test: bool = False
    test_run: RunShare | None = None
    application: Text | None = None
    metadata: Annotated[dict[str, Any], AfterValidator(_json_object)] | None = None

    def parameters(self) -> dict[str, Any]:
        """The inputs of the model, without the prompt."""
        return {name: value for name, value in self.__pydantic_extra__.items() if value is not None}


class ProcessGeneration(BaseModel):
    """Body of process-generation."""

    generation_id: UUID


Body = TypeVar("Body", bound=BaseModel)


async def parse_body(request: Request, model: type[Body]) -> Body:
    """Parse and validate a request body.

    Raises FunctionError: 413 too large, 400 not a JSON object, 422 naming all invalid fields.
    """
    try:
        value = json.loads(await _read_body(request), parse_constant=_reject_constant)
    except (ValueError, RecursionError):
        raise FunctionError(400, "malformed", "The body is not valid JSON.") from None
    if not isinstance(value, dict):
        raise FunctionError(400, "malformed", "The body must be a JSON object.")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        problems = [
            {"field": str(each["loc"][0]) if each["loc"] else "body", "problem": each["msg"]}
            for each in found
        ]
        message = "; ".join(f"{each['field']}: {each['problem']}" for each in problems)
        raise invalid_fields(message, problems) from None


async def _read_body(request: Request) -> bytes:
    try:
        return await request.body()
    except ClientDisconnect:
        # Nobody will read the response, but a client disconnect is not a server error.
        raise FunctionError(400, "incomplete", "The request body is incomplete.") from None


def _reject_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")
