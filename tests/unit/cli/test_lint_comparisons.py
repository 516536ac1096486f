"""`kubectl nnunet lint` on comparisons: what would not be compared is said before anything trains."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.support.builders import comparison
from tests.support.command import Command
from tests.support.made_comparisons import TEMPLATE

ARMS: list[dict[str, Any]] = [{"name": "long", "patch": {}}, {"name": "short", "patch": {"schedule": {"epochs": 250}}}]
DOCS = Path(__file__).parents[3] / "docs/user-guide/comparisons.md"
SAMPLE = Path(__file__).parents[3] / "manifests/samples/comparison-template.yaml"


def lint(nnunet: Command, *options: str, **spec: Any) -> Any:
    body = comparison("imaging", **{"template": TEMPLATE, "arms": ARMS, **spec})
    Path("c.yaml").write_text(yaml.safe_dump(body))
    return nnunet("lint", "c.yaml", *(options or ("--offline",)), "-o", "json")


def messages(run: Any, level: str) -> list[str]:
    return [one["message"] for one in run.data["results"][0]["findings"] if one["level"] == level]


def test_the_sample_has_nothing_wrong_and_is_short(nnunet: Command) -> None:
    run = nnunet("lint", str(SAMPLE), "--offline", "--strict", "-o", "json")
    assert run.code == 0 and run.data["results"][0]["findings"] == []
    shown = "".join(line for line in SAMPLE.read_text().splitlines(keepends=True) if not line.startswith("#"))
    assert f"```yaml\n{shown}```" in DOCS.read_text(), "the page shows this very document"
    assert len([line for line in SAMPLE.read_text().splitlines() if not line.startswith("#")]) <= 23


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ({"varies": []}, "the arms can't be compared: schedule.epochs: long: 1000; short: 250"),
        ({"varies": ["schedule", "planning"]}, "planning: is named in spec.varies, and does not differ"),
        (
            {"arms": [ARMS[0], {"name": "short", "patch": {"schedule": {"epoch": 250}}}]},
            "arm short: spec.schedule.epoch is no field of a training",
        ),
        (
            {"arms": [ARMS[0], {"name": "short", "patch": {"schedule": {"epochs": 250}, "testSet": None}}]},
            "testSet: long: unknown; short: none",
        ),
    ],
)
def test_what_can_not_be_compared_or_is_no_training_is_invalid(nnunet: Command, spec: Any, words: str) -> None:
    run = lint(nnunet, **spec)
    assert run.code == 1
    assert any(words in message for message in messages(run, "invalid")), messages(run, "invalid")


def test_each_training_that_would_be_made_is_held_against_the_policies(nnunet: Command) -> None:
    head = {"apiVersion": "nnunet.dev/v1alpha1", "kind": "NnunetTrainingPolicy", "metadata": {"name": "house"}}
    rules = {"minEpochs": 1000, "allowedPriorityClasses": ["low"]}
    policy = {**head, "spec": {"mode": "Enforce", "namespaces": ["imaging"], "rules": rules}}
    Path("p.yaml").write_text(yaml.safe_dump(policy))
    run = lint(nnunet, "--policies", "p.yaml")
    assert run.code == 1
    assert messages(run, "denied") == ["arm short: spec.schedule.epochs is 250, must be at least 1000"]
    urgent = {"spec": {**TEMPLATE["spec"], "queuePriorityClassName": "urgent", "queueName": "gpus"}}
    said = messages(lint(nnunet, "--policies", "p.yaml", template=urgent), "denied")
    for arm in ("long", "short"):
        assert f"arm {arm}: spec.queuePriorityClassName is urgent, must be one of low" in said


def test_it_says_how_many_cases_and_replicates_it_takes(nnunet: Command) -> None:
    few = {"spec": {**TEMPLATE["spec"], "replicates": 1}}
    run = lint(nnunet, expectedDifferenceSD=0.03, template=few)
    assert run.code == 0
    assert any("it takes 56 test cases to tell a loss of 1 point" in message for message in messages(run, "note"))
    assert any("would have fewer than 3 replicates" in message for message in messages(run, "advice"))


def test_arms_that_only_refer_are_checked_as_far_as_they_are_known(nnunet: Command) -> None:
    Path("c.yaml").write_text(yaml.safe_dump(comparison("imaging")))
    run = nnunet("lint", "c.yaml", "--offline")
    assert run.code == 0 and "1 comparison: 1 allowed" in run.out
