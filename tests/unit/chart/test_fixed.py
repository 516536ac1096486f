"""What can't change and is open is compared by admission: the schema's own rule lets fields be exchanged."""

import re
from collections.abc import Iterator
from typing import Any

from nnunet_api import training_rules
from nnunet_api.comparison import model as comparison
from nnunet_api.crd import all_crds
from tests.support.chart import render
from tests.unit.chart.test_render import find

OPEN, RULES = "x-kubernetes-preserve-unknown-fields", "x-kubernetes-validations"


def open_and_fixed(schema: Any, path: tuple[str, ...] = (), fixed: bool = False) -> Iterator[tuple[str, ...]]:
    """Yield the path of each open object that can't change by a rule on it, or on one that it is inside."""
    fixed = fixed or any("self == oldSelf" in one["rule"] for one in schema.get(RULES, []))
    if fixed and schema.get(OPEN):
        yield path
    for name, inner in schema.get("properties", {}).items():
        yield from open_and_fixed(inner, (*path, name), fixed)
    for name in ("items", "additionalProperties"):
        if isinstance(inner := schema.get(name), dict):
            yield from open_and_fixed(inner, (*path, name), fixed)


def found_in_definitions() -> set[tuple[str, str]]:
    """Return plural and field of the spec of all that is open and can't change."""
    return {
        (crd["spec"]["names"]["plural"], path[1])
        for crd in all_crds()
        for version in crd["spec"]["versions"]
        for path in open_and_fixed(version["schema"]["openAPIV3Schema"])
    }


def test_all_that_is_open_and_fixed_is_compared_by_admission() -> None:
    spec = find(render(), "ValidatingAdmissionPolicy", "nnunet-fixed")["spec"]
    form = re.compile(r"request\.resource\.resource != '(\w+)' \|\| object\.spec\.\?(\w+) == oldObject\.spec\.\?(\w+)")
    compared = [form.fullmatch(one["expression"]) for one in spec["validations"]]
    assert all(one and one[2] == one[3] for one in compared)
    named = {(one[1], one[2]) for one in compared if one}
    assert (
        named
        == found_in_definitions()
        == {
            ("nnunettrainings", "planning"),
            ("nnunetcomparisons", "arms"),
            ("nnunetcomparisons", "template"),
        }
    )
    (rule,) = spec["matchConstraints"]["resourceRules"]
    assert set(rule["resources"]) == {plural for plural, _ in named} and rule["operations"] == ["UPDATE"]
    assert "matchConditions" not in spec and spec["failurePolicy"] == "Fail", "it is for everybody"


def test_it_says_what_the_schema_says() -> None:
    spec = find(render(), "ValidatingAdmissionPolicy", "nnunet-fixed")["spec"]
    fixed = {"nnunettrainings": training_rules.fixed_fields(), "nnunetcomparisons": comparison.fixed_fields()}
    said = {one["message"] for one in spec["validations"]}
    assert said == {f"spec.{fixed[plural][field][1]}" for plural, field in found_in_definitions()}


def test_an_open_object_under_a_fixed_one_is_found() -> None:
    fixed = {RULES: [{"rule": "self == oldSelf"}], "properties": {"a": {"items": {OPEN: True}}, "b": {OPEN: True}}}
    schema = {"properties": {"spec": {"properties": {"x": fixed, "y": {OPEN: True}}}}}
    assert set(open_and_fixed(schema)) == {("spec", "x", "a", "items"), ("spec", "x", "b")}
