"""The generated CRD: structural, documented, bounded."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from nnunet_api.crd import policy_crd, training_crd
from nnunet_api.policy.model import NnunetTrainingPolicySpec
from nnunet_api.training import MUTABLE_FIELDS, MUTABLE_PARTS, NnunetTrainingSpec

SCHEMA = training_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
SPEC = SCHEMA["properties"]["spec"]
ONE_FORM = {"configuration", "configurations"}
"""Two forms of one field: a rule over the spec holds what they come to."""
ENDS_AT_ONCE = (
    "!has(self.configurations) || ",
    "!has(self.initialWeights) || ",
    "!has(self.selection) || ",
    "self.resources.configurations.size() == 0 || ",
)
"""How rules begin that look no further where a training has one configuration, random weights and no selection."""


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


def rules_of(schema: dict[str, Any]) -> list[str]:
    return [rule["rule"] for rule in schema.get("x-kubernetes-validations", [])]


def test_every_field_but_the_mutable_ones_is_immutable() -> None:
    guarded = {name for name, field in SPEC["properties"].items() if "self == oldSelf" in rules_of(field)}
    in_parts = {path.split(".")[0] for path in MUTABLE_PARTS}
    assert guarded == set(SPEC["properties"]) - set(MUTABLE_FIELDS) - ONE_FORM - in_parts


def test_of_storage_all_but_the_copy_is_immutable() -> None:
    storage = SPEC["properties"]["storage"]
    below = {path: field for path, field in fields(storage) if not path.startswith("preprocessed.localCopy.")}
    fixed = {path for path, field in below.items() if "self == oldSelf" in rules_of(field)}
    assert fixed == {"results", "preprocessed.claimName", "preprocessed.subPath"}
    left = {path for path in below if path not in fixed and not path.startswith("results.")}
    assert left == {"preprocessed", "preprocessed.localCopy"} and MUTABLE_PARTS == ("storage.preprocessed.localCopy",)
    assert all("default" in below[path] for path in fixed), "else the rule would not always be asked"
    assert "default" in storage and "default" in below["preprocessed"]


def test_an_immutable_field_that_may_be_absent_can_neither_come_nor_go() -> None:
    """A rule on a field is asked only where it is there before and after."""
    always = {*SPEC["required"], *(name for name, field in SPEC["properties"].items() if "default" in field)}
    absent = set(SPEC["properties"]) - always - set(MUTABLE_FIELDS) - ONE_FORM
    assert absent == {"testSet", "comparison", "initialWeights", "selection"}
    assert {f"has(self.{name}) == has(oldSelf.{name})" for name in absent} <= set(rules_of(SPEC))


def test_rules_look_into_the_whole_spec_seldom() -> None:
    """Each look costs the API server a table of all its fields, at each write of a training or its status.

    Rules that end at their first look cost that one, and a few words of other fields only where the field is there.
    """
    ending = [rule for rule in rules_of(SPEC) if rule.startswith(ENDS_AT_ONCE)]
    assert sum(rule.count("elf.") for rule in rules_of(SPEC) if rule not in ending) <= 32
    assert len(ending) <= 7


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


def bounded_keys(node: Any, definitions: dict[str, Any], path: str = "") -> Iterator[tuple[str, int]]:
    """Return where pydantic bounds the keys of a map, and the bound."""
    if not isinstance(node, dict):
        return
    node = {**node, **definitions.get(node.get("$ref", "").rpartition("/")[2], {})}
    if "maxLength" in node.get("propertyNames", {}):
        yield path, node["propertyNames"]["maxLength"]
    for name, field in node.get("properties", {}).items():
        yield from bounded_keys(field, definitions, f"{path}.{name}".lstrip("."))
    yield from bounded_keys(node.get("items"), definitions, f"{path}[]")
    for choice in node.get("anyOf", []):
        yield from bounded_keys(choice, definitions, path)


@pytest.mark.parametrize(
    ("model", "crd", "expected"),
    [
        (NnunetTrainingSpec, training_crd(), {"planning.configurations": 64, "resources.configurations": 64}),
        (NnunetTrainingPolicySpec, policy_crd(), {"namespaceSelector.matchLabels": 317}),
    ],
)
def test_a_key_that_the_operator_cannot_read_is_not_stored(
    model: type[BaseModel], crd: dict[str, Any], expected: dict[str, int]
) -> None:
    """One such policy would hold every training of the cluster."""
    plain = model.model_json_schema()
    bounds = dict(bounded_keys(plain, plain.get("$defs", {})))
    assert bounds == expected
    found = dict(fields(crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]))
    for path, longest in bounds.items():
        rules = [rule["rule"] for rule in found[path]["x-kubernetes-validations"]]
        assert f"self.all(key, key.size() <= {longest})" in rules, path


def test_no_construct_that_structural_schemas_lack() -> None:
    text = json.dumps(SCHEMA)
    for construct in ("$ref", "$defs", "patternProperties", "anyOf", "const", "propertyNames", '"title"'):
        assert construct not in text
