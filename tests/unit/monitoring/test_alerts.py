"""Each alert fires for what it is meant for, and not for its nearest harmless neighbour; promtool decides."""

import functools
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.monitoring import programs
from tests.unit.monitoring import cases_of_comparisons, cases_of_folds, cases_of_trainings
from tests.unit.monitoring.cases import Case

RULES = Path(__file__).parents[3] / "charts" / "nnunet-operator" / "files" / "alerts.yaml"
CASES = [*cases_of_folds.CASES, *cases_of_trainings.CASES, *cases_of_comparisons.CASES]
FIRING = [case for case in CASES if case.labels is not None]


@functools.cache
def rules() -> list[dict[str, Any]]:
    """Return all alerts."""
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def of_rule(rule: dict[str, Any]) -> str:
    return f"{rule['alert']}-{rule['labels']['severity']}"


def cases_of(rule: dict[str, Any]) -> list[Case]:
    """Return the cases in which a rule fires."""
    severity = rule["labels"]["severity"]
    return [c for c in FIRING if f"Nnunet{c.alert}" == rule["alert"] and c.labels and c.labels["severity"] == severity]


NAMES = sorted({rule["alert"] for rule in rules()})


@pytest.fixture(scope="module")
def failures(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What promtool says of the cases that come out otherwise than told, by their names. One run for all of them."""
    folder = tmp_path_factory.mktemp("alerts")
    files = []
    for name in NAMES:
        # The summary as the only annotation: promtool compares all of them, letter by letter.
        own = [
            {**rule, "annotations": {"summary": rule["annotations"]["summary"]}}
            for rule in rules()
            if rule["alert"] == name
        ]
        (folder / f"{name}.rules").write_text(yaml.safe_dump({"groups": [{"name": name, "rules": own}]}))
        for minutes in (1, 10):
            cases = [case for case in CASES if f"Nnunet{case.alert}" == name and case.is_long == (minutes == 10)]
            content = {
                "rule_files": [f"{name}.rules"],
                "evaluation_interval": f"{minutes}m",
                "tests": [case.as_promtool() for case in cases],
            }
            files.append(folder / f"{name}-{minutes}.tests")
            files[-1].write_text(yaml.safe_dump(content))
    command = [str(programs().promtool), "test", "rules", *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    said = done.stdout + done.stderr
    parts = re.split(r"^ *name: (.*),$", said, flags=re.MULTILINE)
    found = dict(zip(parts[1::2], parts[2::2], strict=True))
    assert found or done.returncode == 0, said
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_fires_or_does_not(case: Case, failures: dict[str, str]) -> None:
    assert case.name not in failures, failures[case.name]


def test_promtool_finds_nothing_wrong() -> None:
    command = [str(programs().promtool), "check", "rules", str(RULES)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_no_case_hides_another() -> None:
    """What promtool says is told apart by their names."""
    names = [case.name for case in CASES]
    assert sorted(set(names)) == sorted(names)


@pytest.mark.parametrize("rule", rules(), ids=of_rule)
def test_each_is_tried_both_ways(rule: dict[str, Any]) -> None:
    assert cases_of(rule), "no case in which it fires"
    assert [case for case in CASES if f"Nnunet{case.alert}" == rule["alert"] and case.labels is None]


@pytest.mark.parametrize("rule", rules(), ids=of_rule)
def test_each_says_how_bad_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["labels"]["severity"] in ("critical", "warning", "info")
    assert rule["annotations"]["runbook_url"].endswith(f"/docs/runbooks/{rule['alert']}.md")
    assert "`kubectl" in rule["annotations"]["description"], "nothing to type"
    assert rule.get("for"), "a single evaluation may be a scrape that failed"
    # What is absent has no values.
    assert "{{ $" in rule["annotations"]["summary"] or rule["expr"].startswith("absent("), "no values"


@pytest.mark.parametrize("rule", rules(), ids=of_rule)
def test_annotations_name_labels_that_the_alert_has(rule: dict[str, Any]) -> None:
    """A label that is not there is an empty word, of which nobody complains."""
    for text in rule["annotations"].values():
        named = set(re.findall(r"\$labels\.(\w+)", text))
        ever = {label for case in cases_of(rule) for label in case.labels or {}}
        assert named <= ever, f"{named - ever} in: {text}"
        asked = set(re.findall(r"{{-? if (?:ne )?\$labels\.(\w+)", text))
        if not asked:
            always = set.intersection(*(set(case.labels or {}) for case in cases_of(rule)))
            assert named <= always, f"{named - always} is not always there: {text}"
