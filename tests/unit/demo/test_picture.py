"""The picture of `kubectl nnunet watch` in the docs: what the view draws, of a training on made-up curves."""

import html
import json
import re
from pathlib import Path

import pytest
from rich.console import RenderableType

from hack.demo import picture
from nnunet_api.training import KIND
from tests.support.made_statuses import TRAINING, rendered

DOCS = Path(__file__).parents[3] / "docs"
COLUMNS = 100
"""Of the view as text in the docs."""


def words(svg: str) -> list[str]:
    """Return the words in a picture."""
    return html.unescape(" ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg))).replace("\xa0", " ").split()


@pytest.fixture(scope="module")
def looks() -> list[picture.Look]:
    return list(picture.made_up_looks())


@pytest.fixture(scope="module")
def view(looks: list[picture.Look]) -> RenderableType:
    return picture.view_of(looks)[0]


def test_the_picture_in_the_docs_is_what_the_view_draws(looks: list[picture.Look]) -> None:
    drawn, there = picture.draw(looks), (DOCS / "images" / "live-view.svg").read_text()
    assert words(drawn) == words(there), "draw it anew: python -m hack.demo.picture docs/images/live-view.svg"
    title = "kubectl nnunet watch hippocampus"
    assert title in html.unescape(drawn).replace("\xa0", " ") and "@font-face" not in drawn


def test_the_text_in_the_docs_is_what_the_view_draws(view: RenderableType) -> None:
    text = "\n".join(line.rstrip() for line in rendered(view, COLUMNS).splitlines())
    assert f"```text\n{text}\n```\n" in (DOCS / "user-guide" / "command-line.md").read_text(), text


def test_the_picture_shows_all_that_the_view_can_show(view: RenderableType) -> None:
    text = rendered(view, picture.COLUMNS)
    for shown in (
        "Completed",
        "Running",
        "Pending",
        "anneals until",
        "watching",
        "suppressed by the policy",
        "Dice 0.",
    ):
        assert shown in text
    rows = [row for row in text.splitlines() if re.match(r"│ [0-4] ", row)]
    assert len(rows) == 5 and all(re.search(r"[▁-█]{12} ", row) for row in rows[:4]), text


def test_a_recorded_training_is_drawn_with_what_was_seen_of_it() -> None:
    """As kubectl writes it: one list after the other."""
    head = {"kind": KIND, "metadata": {"name": "brain", "namespace": "nnunet-demo", "uid": "u"}}
    looks = []
    for epoch in (11, 12):
        first = {**TRAINING["folds"][0], "epoch": epoch, "emaPseudoDice": 0.03 * epoch}
        status = {**TRAINING, "folds": [first, TRAINING["folds"][1]]}
        looks.append(json.dumps({"items": [{**head, "spec": {}, "status": status}]}, indent=4))
    svg = picture.draw(picture.recorded_looks("\n".join(looks), "brain"))
    assert {"12/40", "0.360", "▁█", "Starting"} <= set(words(svg))
    assert svg == picture.draw(picture.recorded_looks("\n".join(looks), "brain")), "the same each time"
