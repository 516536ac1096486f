"""Curves: from what the trainer image reads out of a checkpoint to the files."""

import math
import re
from datetime import UTC, datetime
from typing import Any

import pytest

from nnunet_cli.curves import drawing
from nnunet_cli.curves.drawing import draw
from nnunet_cli.curves.history import History, as_data, history_of
from nnunet_cli.curves.page import page
from tests.support.made_statuses import fold, watched

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def message(name: str, epochs: int = 3, **changes: Any) -> dict[str, Any]:
    logged = {
        "training_loss": [0.5 - 0.01 * epoch for epoch in range(epochs)],
        "validation_loss": [0.6 - 0.01 * epoch for epoch in range(epochs)],
        "pseudo_dice": [0.4] * epochs,
        "ema_pseudo_dice": [0.4] * epochs,
        "learning_rate": [0.01] * epochs,
    }
    return {"fold": name, "epoch": epochs, **logged, **changes}


def history(*messages: dict[str, Any], **status: Any) -> History:
    folds = status.pop("folds", [fold("0"), fold("1")])
    return history_of(watched(folds=folds, **status), messages)


def titles(svg: bytes) -> str:
    """The words in the picture; SVG keeps them as words."""
    return " | ".join(re.findall(r"<text[^>]*>([^<]*)</text>", svg.decode()))


def plain() -> History:
    return history(message("1"), message("0", 7))


@pytest.fixture(scope="module")
def plain_svg() -> bytes:
    return draw(plain(), "svg")


def test_a_row_for_each_fold_on_an_axis_as_long_as_the_schedule(plain_svg: bytes) -> None:
    said = titles(plain_svg)
    assert "nnunet-demo/brain" in said
    assert said.index("Fold 0, epoch 7 of 40: loss") < said.index("Fold 1, epoch 3 of 40: loss")
    for words in ("training loss", "validation loss", "trend only", "its moving average", "Learning rate"):
        assert said.count(words) == 2, words


def test_what_the_policies_ask_for_and_the_verdict_are_drawn_in(plain_svg: bytes) -> None:
    folds = [
        fold("0", earlyStopping={"state": "Annealing", "epoch": 20, "endEpoch": 30}),
        fold("1", earlyStopping={"state": "Watching", "suppressedEpoch": 12}),
    ]
    policy = {"decidedAt": "2026-03-01T11:00:00Z", "minEpochs": 25, "decisions": []}
    said = titles(draw(history(message("0", 22), message("1", 22), folds=folds, policy=policy), "svg"))
    assert said.count("policy: at least 25 epochs") == 2
    assert (
        "plateau at 20 (Annealing)" in said and "annealing until 30" in said and "early stop at 12 suppressed" in said
    )
    assert not any(word in titles(plain_svg) for word in ("policy", "early", "plateau"))


def test_no_epoch_and_the_same_data_give_the_same_file() -> None:
    first, second = (draw(history(message("0", 0)), "png") for _ in range(2))
    assert first.startswith(b"\x89PNG") and first == second


def test_few_epochs_and_what_is_no_number_is_a_gap_and_null() -> None:
    gaps = message("1", training_loss=[0.5, math.nan, math.inf], pseudo_dice=[])
    found = history(message("0", 1), message("2", 2), gaps, folds=[fold(name) for name in "012"])
    assert [len(each["trainingLoss"]) for each in as_data(found)["folds"]] == [1, 3, 2]
    assert as_data(found)["folds"][1]["trainingLoss"] == [0.5, None, None]
    assert draw(found, "png").startswith(b"\x89PNG")


def test_data_for_scripts() -> None:
    folds = [fold("0", earlyStopping={"state": "Observed", "epoch": 2})]
    data = as_data(history(message("0"), folds=folds))
    assert (data["namespace"], data["name"], data["epochs"], data["minEpochs"]) == ("nnunet-demo", "brain", 40, None)
    (one,) = data["folds"]
    assert list(one) == [
        "fold",
        "epoch",
        "trainingLoss",
        "validationLoss",
        "pseudoDice",
        "emaPseudoDice",
        "learningRate",
        "earlyStopping",
    ]
    assert one["epoch"] == 3 and one["earlyStopping"] == {"state": "Observed", "epoch": 2}


def test_a_fold_that_can_not_be_read_is_said_and_the_others_are_drawn() -> None:
    found = history({"fold": "0", "problem": "none of them can be read"}, message("1"))
    assert found.problems == ["fold 0: none of them can be read"] and [each.fold for each in found.folds] == ["1"]


def test_folds_of_any_name_and_number_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are named by folders on the claim, which the training's own image may have made."""
    monkeypatch.setattr(drawing, "_MOST_FOLDS", 3)
    names = [r"$\frac{$", "\x1b[2J\x00", "x" * 5000, "y"]
    found = history(*(message(name, 1) for name in names))
    said = titles(draw(found, "svg"))
    assert r"Fold $\frac{$, epoch 1" in said and "Fold ?[2J?, epoch 1" in said and "Fold y" not in said
    assert "nnunet-demo/brain: 3 of 4 folds, all with -o json" in said
    assert len(as_data(found)["folds"]) == 4 and max(len(one.fold) for one in found.folds) == 100
    assert draw(found, "png").startswith(b"\x89PNG")


def test_the_page_stands_alone(plain_svg: bytes) -> None:
    found = history(message("0"), policy={"decidedAt": "2026-03-01T11:00:00Z", "minEpochs": 25, "decisions": []})
    text = page(found, plain_svg.decode(), NOW)
    assert text.startswith("<!DOCTYPE html>") and text.count("<svg") == 1 and "<?xml" not in text
    assert "<h1>Curves of nnunet-demo/brain</h1>" in text and "at least 25 epochs" in text
    assert not re.search(r'(src|href)="(?!#)', text), "nothing is fetched"


def test_the_same_data_give_the_same_picture(plain_svg: bytes) -> None:
    assert draw(plain(), "svg") == plain_svg
