"""The threat model names tests that there are, and the rights that `kubectl nnunet rights` looks for."""

import re
from pathlib import Path

import pytest

from nnunet_cli.rights.dangers import DANGERS, EVERYTHING, found_in
from tests.support.chart import render

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/operations/threat-model.md").read_text()
TESTS = sorted(set(re.findall(r"`((?:unit|integration|trainer|e2e)/[\w/.]+(?:::\w+)?)`", TEXT)))
RIGHTS = TEXT.partition("## Rights\n")[2].partition("\n## ")[0]


def test_tests_are_named() -> None:
    assert len(TESTS) > 20


@pytest.mark.parametrize("named", TESTS)
def test_a_test_that_is_named_is_there(named: str) -> None:
    file, _, name = named.partition("::")
    assert f"def {name}(" in (ROOT / "tests" / file).read_text() if name else (ROOT / "tests" / file).is_file()


def test_each_right_has_its_row() -> None:
    first = [line.split("|")[1] for line in RIGHTS.splitlines() if line.startswith("| `")]
    told = {right for cell in first for right in re.findall(r"`([a-z-]+)`", cell)}
    assert told == {danger.name for danger in (EVERYTHING, *DANGERS)}


@pytest.mark.parametrize(
    ("role", "expected"), [("trainer", set()), ("auditor", set()), ("policy-admin", {"policies", "namespaces"})]
)
def test_the_roles_for_people_give_no_other_right(role: str, expected: set[str]) -> None:
    (body,) = [each for each in render() if each["metadata"]["name"] == f"nnunet-{role}-base"]
    assert {danger.name for rule in body["rules"] for danger in found_in(rule, everywhere=True)} == expected
