"""The schema in words: what is wrong with an object, field by field, as the API server will see it."""

import json
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from nnunet_api.base import API_VERSION
from nnunet_cli.lint import metadata
from nnunet_cli.lint.rules import broken_rules
from nnunet_cli.lint.wording import meant, pattern_words

Model = TypeVar("Model", bound=BaseModel)

_TOP_LEVEL = ("apiVersion", "kind", "metadata", "spec", "status")


class Invalid(Exception):
    """An object does not parse."""

    def __init__(self, problems: list[tuple[str, str]]) -> None:
        """Take the problems as field and message; the message begins with the field."""
        super().__init__("; ".join(message for _, message in problems))
        self.problems = problems


def parse(model: type[Model], body: dict[str, Any], kind: str = "") -> Model:
    """Return the spec of an object. Raises Invalid with all that is wrong with the object.

    With a kind, the rules of its definition are asked as well: where no API server has asked them or will.
    """
    problems = _frame(body)
    try:
        # By way of JSON, because strict then means what the API server means: no number in quotes, but words for enums.
        text = json.dumps(_without_nulls(body.get("spec", {})))
        spec = model.model_validate_json(text, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        problems += [_words(problem, model) for problem in error.errors(include_url=False)]
    else:
        problems += broken_rules(kind, spec.model_dump(mode="json", by_alias=True, exclude_none=True)) if kind else ()
    if problems:
        raise Invalid(problems)
    return spec


def _frame(body: dict[str, Any]) -> list[tuple[str, str]]:
    """Return what is wrong around the spec."""
    found: list[tuple[str, str]] = []
    if body.get("apiVersion") != API_VERSION:
        found.append(("apiVersion", f"apiVersion is {body.get('apiVersion')!r}, must be {API_VERSION}"))
    for key in body:
        if key not in _TOP_LEVEL:
            found.append((str(key), f"{key} is no field of it: use {', '.join(_TOP_LEVEL[:4])}"))
    return [*found, *metadata.problems(body.get("metadata"))]


def _without_nulls(value: Any) -> Any:
    """Leave out what is null: the API server does so, and fills in the default. In a patch null takes a field away."""
    if isinstance(value, dict):
        return {k: item if k == "patch" else _without_nulls(item) for k, item in value.items() if item is not None}
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
