"""Each rule of the definitions is asked offline, too, and refuses the document that breaks it."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from nnunet_cli.lint.rules import twin
from tests.support.command import Command
from tests.support.rule_breakers import COMPARISONS, GOOD_HEADS, HEADS, KEPT, POLICIES, TRAININGS, rules

KINDS = {
    "NnunetTraining": TRAININGS,
    "NnunetTrainingPolicy": POLICIES,
    "NnunetComparison": (*COMPARISONS, *TRAININGS),  # these by its template
}
HEAD = {"apiVersion": "nnunet.dev/v1alpha1", "kind": "NnunetTraining", "metadata": {"name": "a"}}
DATASET = {"name": "Dataset001_A"}


@pytest.mark.parametrize("kind", KINDS)
def test_each_rule_has_its_twin_and_a_document_that_breaks_it(kind: str) -> None:
    found = rules(kind)
    assert len(found) > 5
    assert [rule for rule in found if not twin(rule["rule"]) and not rule["rule"].startswith("list type")] == []
    assert all(twin(rule) for rule in KEPT)
    said = [words for words, _ in KINDS[kind]]
    assert [rule for rule in found if not any(words in rule["message"] for words in said)] == []


@pytest.mark.parametrize(("said", "spec"), TRAININGS)
def test_what_breaks_a_rule_is_invalid(nnunet: Command, said: str, spec: Any) -> None:
    run = nnunet("lint", _write({**HEAD, "spec": {"dataset": DATASET, **spec}}), "--offline", "-o", "json")
    (finding,) = run.data["results"][0]["findings"]
    said = "twice" if said == "Duplicate value" else said
    assert (run.code, finding["level"]) == (1, "invalid")
    # The model of a configuration says it in words of its own.
    assert said in finding["message"] or "planning.configurations" in finding["field"], finding


@pytest.mark.parametrize(("said", "spec"), COMPARISONS)
def test_what_breaks_a_rule_of_comparisons_is_invalid(nnunet: Command, said: str, spec: Any) -> None:
    arms = [{"name": "a", "trainings": ["long"]}, {"name": "b", "trainings": ["short"]}]
    body = {**HEAD, "kind": "NnunetComparison", "spec": {"arms": arms, **spec}}
    run = nnunet("lint", _write(body), "--offline", "-o", "json")
    (finding,) = run.data["results"][0]["findings"]
    said = "twice" if said == "Duplicate value" else said
    assert (run.code, finding["level"]) == (1, "invalid") and said in finding["message"], finding


@pytest.mark.parametrize(("said", "spec"), POLICIES)
def test_a_policy_that_breaks_a_rule_stands_in_the_way(nnunet: Command, said: str, spec: Any) -> None:
    body = {"mode": "Enforce", "namespaces": ["default"], "rules": {}, **spec}
    policy = {**HEAD, "kind": "NnunetTrainingPolicy", "spec": body}
    training = {**HEAD, "spec": {"dataset": DATASET}}
    run = nnunet("lint", _write(training), "--policies", _write(policy, "p.yaml"))
    assert run.code == 1 and "policy a can't be read" in run.out, run.out


@pytest.mark.parametrize(("said", "metadata"), HEADS)
def test_metadata_that_kubernetes_refuses(nnunet: Command, said: str, metadata: Any) -> None:
    run = nnunet("lint", _write({**HEAD, "metadata": metadata, "spec": {"dataset": DATASET}}), "--offline")
    assert run.code == 1 and "invalid  metadata." in run.out, run.out


@pytest.mark.parametrize("metadata", GOOD_HEADS)
def test_metadata_that_kubernetes_takes(nnunet: Command, metadata: Any) -> None:
    run = nnunet("lint", _write({**HEAD, "metadata": metadata, "spec": {"dataset": DATASET}}), "--offline")
    assert run.code == 0, run.out


def _write(body: Any, name: str = "t.yaml") -> str:
    Path(name).write_text(yaml.safe_dump(body))
    return name
