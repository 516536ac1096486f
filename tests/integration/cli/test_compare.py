"""`kubectl nnunet compare` against a real API server."""

from pathlib import Path

import pytest

from tests.integration.cli.conftest import Site
from tests.support.builders import comparison
from tests.support.command import Command

SENTENCE = "fast loses 1.8 points (0.9 to 2.7) of Dice against standard: Inferior at a margin of 1 point"


@pytest.fixture(scope="module")
def home(site: Site) -> str:
    """A namespace with a comparison that has a verdict, and one that no operator has looked at."""
    namespace = site.namespace("compare")
    for name in ("done", "new"):
        site.api.create("nnunetcomparisons", comparison(namespace, name))
    verdict = {"arm": "fast", "verdict": "Inferior", "difference": -0.018, "low": -0.027, "high": -0.009}
    status = {"phase": "Completed", "verdicts": [{**verdict, "reason": SENTENCE}], "cases": 40}
    site.api.merge("nnunetcomparisons", namespace, "done", {"status": status}, "status")
    return namespace


def test_a_verdict_that_is_not_acceptable_ends_with_1(home: str, nnunet: Command) -> None:
    run = nnunet("compare", "done", "-n", home)
    assert run.code == 1 and run.out.splitlines()[0] == SENTENCE
    assert "-0.0180" in run.out and "VERDICT" in run.out
    data = nnunet("compare", "done", "-n", home, "-o", "json").data
    assert (data["acceptable"], data["maxDiceLoss"], data["verdicts"][0]["verdict"]) == (False, 0.01, "Inferior")


def test_without_a_verdict_it_says_why(home: str, nnunet: Command) -> None:
    run = nnunet("compare", "new", "-n", home)
    assert run.code == 1 and "no operator has looked at it yet" in run.out


def test_one_that_is_not_there_is_named(home: str, nnunet: Command) -> None:
    run = nnunet("compare", "none", "-n", home)
    assert run.code == 3 and f"there is no comparison none in namespace {home}" in run.err


def test_files_are_made_of_what_there_is(home: str, nnunet: Command, tmp_path: Path) -> None:
    page, scores = tmp_path / "done.html", tmp_path / "done.csv"
    run = nnunet("compare", "done", "-n", home, "--report", str(page))
    assert run.code == 1 and run.out.splitlines()[0] == SENTENCE, "what it comes to is the verdict's"
    assert SENTENCE in page.read_text() and "the log of its Job can't be used" in run.err
    run = nnunet("compare", "done", "-n", home, "--csv", str(scores))
    assert run.code == 1 and "kubectl nnunet report TRAINING --file summary.json" in run.err and not scores.exists()
    run = nnunet("compare", "new", "-n", home, "--report", str(page))
    assert run.code == 1 and "has no verdict, so there is nothing to write" in run.err


def test_other_commands_know_comparisons(home: str, nnunet: Command) -> None:
    listed = nnunet("list", "-n", home)
    assert listed.code == 0 and "COMPARISON" in listed.out and "Completed" in listed.out
    names = [one["name"] for one in nnunet("list", "-n", home, "-o", "json").data["comparisons"]]
    assert names == ["done", "new"]
    explained = nnunet("explain", "comparison/new", "-n", home)
    assert explained.code == 0 and f"kubectl nnunet compare new -n {home}" in explained.out
    logs = nnunet("logs", "new", "-n", home)
    assert logs.code == 1 and "there is no log of comparison new" in logs.err
    assert "Completed" in nnunet("watch", "done", "-n", home, "--once").out
    run = nnunet("explain", "none", "-n", home)
    assert run.code == 3 and "there is no training none" in run.err
