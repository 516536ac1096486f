"""The schema in words: what is wrong with an object, field by field, as the API server will see it."""

import json
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from nnunet_api.base import API_VERSION
from nnunet_cli.lint.wording import meant, pattern_words

Model = TypeVar("Model", bound=BaseModel)

_TOP_LEVEL = ("apiVersion", "kind", "metadata", "spec", "status")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_LONGEST_NAME = 253


class Invalid(Exception):
    """An object does not parse."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        """Take the problems as field and message; the message begins with the field."""
        super().__init__("; ".join(message for _, message in problems))
        self.problems = problems


def parse(model: type[Model], body: dict[str, Any]) -> Model:
    """Return the spec of an object. Raises Invalid with all that is wrong with the object."""
    problems = _frame(body)
    try:
        # By way of JSON, because strict then means what the API server means: no number in quotes, but words for enums.
        text = json.dumps(_without_nulls(body.get("spec", {})))
        spec = model.model_validate_json(text, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        problems += [_words(problem, model) for problem in error.errors(include_url=False)]
    if problems:
        raise Invalid(problems)
    return spec


def _frame(body: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is wrong around the spec."""
    found = []
    if body.get("apiVersion") != API_VERSION:
        found.append(("apiVersion", f"apiVersion is {body.get('apiVersion')!r}, must be {API_VERSION}"))
    for key in body:
        if key not in _TOP_LEVEL:
            found.append((str(key), f"{key} is no field of it: use {', '.join(_TOP_LEVEL[:4])}"))
    metadata = body.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    if isinstance(metadata, dict) and name is None and isinstance(metadata.get("generateName"), str):
        return found
    if not isinstance(name, str) or not name:
        found.append(("metadata.name", "metadata.name is not set, must be a name"))
    elif len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        rule = f"lower-case letters, digits, '-' and '.', at most {_LONGEST_NAME}"
        found.append(("metadata.name", f"metadata.name is {name!r:.100}, must be of {rule}"))
    return found


def _without_nulls(value: Any) -> Any:
    """Leave out what is null: the API server does so, and fills in the default."""
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def _words(problem: Any, model: type[BaseModel]) -> tuple[str, str]:
    """Return pydantic's finding as field and message."""
    field = "spec"
    for part in problem["loc"]:
        field += f"[{part}]" if isinstance(part, int) else f".{part}"
    if problem["type"] == "missing":
        return field, f"{field} is not set, must be given"
    if problem["type"] == "extra_forbidden":
        close = meant(model, field)
        hint = f"did you mean {close}?" if close else "see kubectl explain nnt.spec, or remove it"
        return field, f"{field} is no field of the API: {hint}"
    said = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "string_pattern_mismatch":
        said = pattern_words(problem["ctx"]["pattern"])
    said = said[0].lower() + said[1:]
    return field, f"{field} is {problem['input']!r:.100}: {said}"
