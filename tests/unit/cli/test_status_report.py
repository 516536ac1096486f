"""The report that a training's status alone gives: it says what it lacks, and takes nothing for markup."""

from copy import deepcopy
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest

from nnunet_api.csv_text import csv_text
from nnunet_cli.errors import CliError
from nnunet_cli.report.command import RunFile, safe_to_open
from nnunet_cli.report.of_status import LACKS, status_report
from nnunet_cli.text.html_page import fenced
from tests.support.made_statuses import DONE, NOW, TRAINING, condition, watched

MADE: dict[str, Any] = {
    "image": "registry/t:1",
    "imageDigest": "registry/t@sha256:ab",
    "device": "NVIDIA H100",
    "seed": 7,
    "slippedIn": [{"what": "LD_PRELOAD", "where": ["fold 0"]}],
}
POLICY = {
    "decidedAt": "2026-03-01T10:00:00Z",
    "decisions": [{"policy": "house", "generation": 3, "mode": "Enforce", "outcome": "Excepted"}],
    "exceptions": [
        {
            "policy": "house",
            "minEpochs": 40,
            "reason": "a pilot",
            "ticket": "QM-17",
            "approvedBy": "ann",
            "expiresAt": "2026-06-01T00:00:00Z",
        }
    ],
}


def test_all_that_the_status_has_and_what_it_lacks() -> None:
    short = condition("StandardSchedule", "ShortSchedule", "usually 1-3 % Dice worse", "False")
    done = {**deepcopy(DONE), "conditions": [*DONE["conditions"], short]}
    for fold, seconds in zip(done["folds"], (94.2, 101.0), strict=True):
        fold["compileSeconds"] = seconds
    page = status_report(watched(**done, provenance=MADE, policy=POLICY, usage={"gpuSeconds": 7200}), NOW)
    for said in (
        LACKS,
        "QM-17",
        "1-3 % Dice worse",
        "0.557",
        "grey_matter",
        "0.602",
        "40 of 40",
        "3 min 00 s",
        "2 h 00 min",
        "1 min 41 s",
        "registry/t@sha256:ab",
        "NVIDIA H100",
        "LD_PRELOAD (fold 0)",
        "house, generation 3",
        "Enforce: Excepted",
    ):
        assert said in page, said


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ({"training": "base", "fold": "0"}, "training base fold 0 (SHA-256 ab)"),
        ({}, "omind/c.pth (SHA-256 ab)"),
        (
            {"form": "nnssl", "architecture": "ResEncL", "pretrainedBy": "BaseMAETrainer", "pretrainedOn": "OpenMind"},
            "omind/c.pth (of nnssl, ResEncL, by BaseMAETrainer, on OpenMind, SHA-256 ab)",
        ),
    ],
)
def test_what_it_began_with(known: dict[str, str], said: str) -> None:
    weights = {"claimName": "models", "path": "omind/c.pth", "sha256": "ab", **known}
    assert said in status_report(watched(**DONE, provenance={**MADE, "initialWeights": weights}), NOW)


def test_several_configurations_stand_side_by_side() -> None:
    each = [
        {"configuration": "2d", "meanValidationDice": 0.7, "spread": 0.02},
        {"configuration": "3d_fullres", "meanValidationDice": 0.8},
    ]
    found = watched(**{**DONE, "results": {"configurations": each}, "leftOutConfigurations": ["3d_lowres"]})
    page = status_report(found, NOW)
    for said in ("Cross-validation Dice of 2d", "0.700 ± 0.020", "Cross-validation Dice of 3d_fullres", "3d_lowres"):
        assert said in page, said
    assert "Test Dice (" not in page


def test_what_was_chosen_is_told_with_its_score() -> None:
    chosen = {
        "chosen": ["2d", "3d_fullres"],
        "meanValidationDice": 0.912,
        "postprocessedValidationDice": 0.915,
        "postprocessing": ["tumour"],
        "candidates": 3,
    }
    found = watched(**{**DONE, "results": {"selection": chosen, "testDice": {"mean": 0.9, "cases": 3}}})
    page = status_report(found, NOW)
    for said in ("before the test set was scored", "2d and 3d_fullres", "0.912", "0.915", "tumour", "0.900"):
        assert said in page, said
    bare = {"chosen": ["2d"], "postprocessedValidationDice": 0.7}
    without_test_set = status_report(watched(results={"selection": bare}), NOW)
    assert "is removed of</th><td>nothing" in without_test_set
    assert "Chosen by cross-validation</th>" in without_test_set and "test set was scored" not in without_test_set


def test_one_that_still_trains_has_no_scores() -> None:
    page = status_report(watched(**TRAINING), NOW)
    assert "they come with the evaluation" in page and "12 of 40" in page and "folds 0 and 1 train" in page


class Tags(HTMLParser):
    """The tags of a page, with their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_nothing_runs_in_a_report_that_another_has_written() -> None:
    """What stands first counts: a browser takes it for the head, whatever else calls itself so further down."""
    evil = b"\xef\xbb\xbf<!doctype html><html><head></head><body onload=evil()><script>evil()</script></body></html>"
    first, rest = fenced(evil)[: -len(evil)].decode(), fenced(evil)[-len(evil) :]
    parser = Tags()
    parser.feed(first)
    assert first.startswith("<!DOCTYPE html>") and rest == evil and [tag for tag, _ in parser.found] == ["meta", "meta"]
    assert parser.found[1][1] == {
        "http-equiv": "Content-Security-Policy",
        "content": "default-src 'none'; style-src 'unsafe-inline'; form-action 'none'; base-uri 'none'; img-src data:",
    }


@pytest.mark.parametrize(
    "page",
    [
        '<meta http-equiv="refresh" content="0;url=https://x">',
        "<body><META\nHTTP-EQUIV\t=\n'refresh' content='0;url=https://x'>",
        '<meta content="0;url=https://x"http-equiv="&#114;efresh">',
        "<meta/http-equiv=refresh/content='0;url=https://x'>",
        '<a style="position:fixed;inset:0" href="https://x">all of the page</a>',
        '<svg><a xlink:href="https://x"><text>curve</text></a></svg>',
        '<svg><a><text>curve</text><animate attributeName="href" values="https://x"/></a></svg>',
        '<iframe srcdoc="&lt;meta http-equi&#118;=refresh content=&quot;0;url=https://x&quot;&gt;"></iframe>',
    ],
)
def test_a_report_that_another_has_written_leads_nowhere(page: str) -> None:
    """Chromium went to the other page at once with the first four, as long as their names were left to them."""
    parser = Tags()
    parser.feed(fenced(page.encode())[len(fenced(b"")) :].decode())
    leading = {"http-equiv", "href", "xlink:href", "srcdoc", "attributename"}
    assert parser.found and not [name for _, attributes in parser.found for name in attributes if name in leading]


def test_pictures_of_a_report_stay_as_they_are() -> None:
    """In base64 any letters can stand, at its end before a sign of equality, too."""
    page = b'<p>Case href, http-equiv</p><img src="data:image/png;base64,AAAAhrefAAAAsrcdoc0000href=">'
    assert fenced(page).endswith(page)


def test_a_table_that_another_has_written_holds_no_formulas() -> None:
    honest = csv_text([["configuration", "subgroup", "dice"], ["2d", "site A, old", "0.91"], ["2d", "=1", "-0.5"]])
    assert safe_to_open(RunFile.SUBGROUPS, honest.encode(), "it") == honest.encode()
    evil = b'a,"=HYPERLINK(""https://x"")"\nb;=1+1,0.5\n'
    assert safe_to_open(RunFile.SUBGROUPS, evil, "it") == b'a,"\'=HYPERLINK(""https://x"")"\nb;\'=1+1,0.5\n'
    with pytest.raises(CliError, match="it is no CSV"):
        safe_to_open(RunFile.SUBGROUPS, b'"' + b"x" * 200_000 + b'"', "it")
    assert safe_to_open(RunFile.EVIDENCE, b"=1", "it") == b"=1"


def test_names_turn_no_direction() -> None:
    found = replace(watched(), name="a\u202eb")
    assert "\u202e" not in status_report(found, NOW)


def test_names_and_messages_are_no_markup() -> None:
    evil = "<script>alert(1)</script>"
    found = replace(watched(conditions=[condition("Failed", "WrongData", evil)]), name=evil, dataset=evil)
    page = status_report(found, NOW)
    assert "<script" not in page and "&lt;script&gt;" in page and "default-src 'none'" in page
