"""The generated CRD: structural, documented, bounded."""

import json
from collections.abc import Iterator
from typing import Any

from nnunet_operator.api.crd import training_crd
from nnunet_operator.api.training import MUTABLE_FIELDS

SCHEMA = training_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SPEC = SCHEMA["properties"]["spec"]


def fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, field in schema.get("properties", {}).items():
        here = f"{path}.{name}" if path else name
        yield here, field
        yield from fields(field, here)
        if isinstance(field.get("items"), dict):
            yield from fields(field["items"], here + "[]")


def test_every_field_is_documented() -> None:
    missing = [
        path for path, field in [*fields(SPEC), *fields(SCHEMA["properties"]["status"])] if not field.get("description")
    ]
    assert missing == []


def test_every_integer_refuses_exponents() -> None:
    loose = [
        path
        for path, field in fields(SPEC)
        if field.get("type") == "integer" and "x-kubernetes-validations" not in field
    ]
    assert loose == []


def test_every_field_but_the_mutable_ones_is_immutable() -> None:
    rules = " ".join(rule["rule"] for rule in SPEC["x-kubernetes-validations"])
    guarded = {name for name in SPEC["properties"] if f"self.{name} == oldSelf.{name}" in rules}
    assert guarded == set(SPEC["properties"]) - set(MUTABLE_FIELDS)


def test_strings_lists_and_maps_are_bounded() -> None:
    unbounded = []
    for path, field in fields(SPEC):
        kind = field.get("type")
        if kind == "string" and not ("maxLength" in field or "enum" in field):
            unbounded.append(path)
        if kind == "array" and "maxItems" not in field:
            unbounded.append(path)
        if kind == "object" and "additionalProperties" in field and "maxProperties" not in field:
            unbounded.append(path)
    assert unbounded == []


def test_no_construct_that_structural_schemas_lack() -> None:
    text = json.dumps(SCHEMA)
    for construct in ("$ref", "$defs", "patternProperties", "anyOf", "const", "propertyNames", '"title"'):
        assert construct not in text
