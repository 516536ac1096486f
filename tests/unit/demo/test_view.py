"""The live view, rendered to text as a person sees it."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console, RenderableType

from nnunet_operator.api.status import NnunetTrainingStatus
from tests.demo import picture, view

NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


def _condition(type_: str, reason: str, message: str, status: str = "True") -> dict[str, Any]:
    return {
        "type": type_,
        "status": status,
        "reason": reason,
        "message": message,
        "lastTransitionTime": "2026-03-01T11:59:00Z",
    }


def _fold(name: str, **changes: Any) -> dict[str, Any]:
    return {"fold": name, "phase": "Running", "epoch": 10, "epochsTarget": 40, **changes}


def _watched(events: tuple[view.Event, ...] = (), **status: Any) -> view.Watched:
    return view.Watched(
        namespace="nnunet-demo",
        name="brain",
        configuration="3d_tiny",
        dataset="Dataset501_MNI",
        status=NnunetTrainingStatus.model_validate(status),
        events=events,
    )


def _text(renderable: RenderableType, width: int = 110) -> str:
    console = Console(file=io.StringIO(), width=width, color_system=None)
    console.print(renderable)
    output = console.file
    assert isinstance(output, io.StringIO)
    return output.getvalue()


TRAINING: dict[str, Any] = {
    "phase": "Training",
    "startTime": "2026-03-01T11:58:30Z",
    "conditions": [_condition("Progressing", "Training", "folds 0 and 1 train")],
    "progress": {"epoch": 22, "epochsTarget": 80, "summary": "22/80", "estimatedSecondsLeft": 65},
    "folds": [
        _fold(
            "0",
            epoch=12,
            emaPseudoDice=0.4321,
            trainingLoss=-0.3123,
            validationLoss=-0.2514,
            learningRate=0.00732,
            epochSeconds=2.0,
        ),
        _fold("1", phase="Starting", epoch=0),
    ],
}


def test_live_view_of_a_training_shows_every_fold_and_what_goes_on() -> None:
    events = (view.Event(NOW, False, "FoldStarted", "fold 0 starts"),)
    text = _text(view.live(_watched(events, **TRAINING), NOW))
    assert "brain in namespace nnunet-demo" in text
    assert "Training   1 min 30 s   22/80 epochs, 1 min 05 s left" in text
    assert "folds 0 and 1 train" in text
    (fold0,) = [row for row in text.splitlines() if "12/40" in row]
    for shown in ("Running", "0.432", "-0.31/-0.25", "0.0073", "56 s"):
        assert shown in fold0
    (fold1,) = [row for row in text.splitlines() if "0/40" in row and "12/40" not in row]
    assert "Starting" in fold1
    assert "12:00:00" in text
    assert "FoldStarted" in text


def test_the_bar_grows_with_the_epochs() -> None:
    def filled(epoch: int) -> int:
        rows = _text(view.live(_watched(phase="Training", folds=[_fold("0", epoch=epoch)]), NOW)).splitlines()
        (row,) = [row for row in rows if f"{epoch}/40" in row]
        return row.count("━")

    assert 0 == filled(0) < filled(10) < filled(30) < filled(40)


@pytest.mark.parametrize("width", [80, 100, 140])
def test_live_view_fits_the_terminal(width: int) -> None:
    text = _text(view.live(_watched(**TRAINING), NOW), width)
    assert max(len(row) for row in text.splitlines()) <= width
    for shown in ("12/40", "0.432", "-0.31/-0.25", "0.0073", "56 s"):
        assert shown in text


def test_live_view_before_the_operator_has_seen_the_training() -> None:
    assert "not seen by the operator yet" in _text(view.live(_watched(), NOW))


def test_a_fold_past_its_last_epoch_validates() -> None:
    text = _text(view.live(_watched(phase="Training", folds=[_fold("0", epoch=40)]), NOW))
    assert "Validating" in text


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([_condition("Progressing", "WaitingForGPU", "fold 0 waits for a GPU", "False")], "fold 0 waits for a GPU"),
        (
            [
                _condition("Progressing", "WrongData", "nothing runs because the training has failed", "False"),
                _condition("Failed", "WrongData", "planning and preprocessing: no such dataset"),
            ],
            "planning and preprocessing: no such dataset",
        ),
        (
            [_condition("Suspended", "NotSuspended", "no", "False"), _condition("Progressing", "Training", "trains")],
            "trains",
        ),
        ([], ""),
    ],
)
def test_the_message_is_the_one_that_says_most(conditions: list[dict[str, Any]], expected: str) -> None:
    assert view.message(_watched(conditions=conditions).status) == expected


def test_markup_in_a_message_is_shown_as_it_is() -> None:
    said = "image [red]x[/red] and [/oops] and C:\\"
    text = _text(view.live(_watched(conditions=[_condition("Failed", "WrongData", said)]), NOW))
    assert said in text


def test_plain_line_while_training() -> None:
    assert view.line(_watched(**TRAINING)) == (
        "Training | 22/80 epochs, 1 min 05 s left | fold 0 Running 12/40, pseudo-Dice 0.432 | fold 1 Starting 0/40"
    )


def test_plain_line_says_why_nothing_moves() -> None:
    blocked = {**TRAINING, "phase": "WaitingForGPU"}
    assert view.line(_watched(**blocked)).endswith("| folds 0 and 1 train")
    assert view.line(_watched()) == "not seen by the operator yet"


DONE: dict[str, Any] = {
    "phase": "Completed",
    "startTime": "2026-03-01T11:57:00Z",
    "completionTime": "2026-03-01T12:00:00Z",
    "conditions": [_condition("Complete", "TrainingComplete", "all done")],
    "folds": [
        _fold("0", phase="Completed", epoch=40, attempts=1, meanValidationDice=0.6234),
        _fold("1", phase="Completed", epoch=40, attempts=3, lostEpochs=2, meanValidationDice=0.5812),
    ],
    "results": {
        "meanValidationDice": 0.6023,
        "testDice": {"mean": 0.5571, "cases": 3, "perClass": {"grey_matter": 0.6, "white_matter": 0.5142}},
        "modelPath": "nnunet-demo/brain-1a2b3c4d/Dataset501_MNI/nnUNetTrainer__nnUNetPlans__3d_tiny",
    },
}


def test_results_show_scores_interruptions_and_the_model() -> None:
    text = _text(view.results(_watched(**DONE), ["claim nnunet-results"]))
    rows = [" ".join(row.strip("│ ").split()) for row in text.splitlines()]

    def row(start: str) -> str:
        (found,) = [row for row in rows if row.startswith(start)]
        return found

    assert "0.623" in row("fold 0")
    assert "40/40 epochs, 1 attempt, 0 epochs lost" in row("fold 0")
    assert "3 attempts, 2 epochs lost" in row("fold 1")
    assert "0.602" in row("cross-validation Dice")
    assert "0.557 (3 cases, ensemble of the folds)" in row("test Dice")
    assert "0.514" in row("white_matter")
    assert "brain-1a2b3c4d" in row("model")
    assert "claim nnunet-results" in text
    assert "3 min 00 s" in row("took")


@pytest.mark.parametrize(
    ("watched", "finished"),
    [(_watched(**DONE), True), (_watched(**TRAINING), False), (_watched(), False)],
)
def test_finished_is_what_the_conditions_say(watched: view.Watched, finished: bool) -> None:
    assert watched.finished is finished


@pytest.mark.parametrize(
    ("span", "text"),
    [
        (timedelta(seconds=-3), "0 s"),
        (timedelta(seconds=59.4), "59 s"),
        (timedelta(seconds=59.6), "1 min 00 s"),
        (timedelta(minutes=3, seconds=5), "3 min 05 s"),
        (timedelta(hours=7, minutes=5), "7 h 05 min"),
        (timedelta(days=3, hours=4), "3 d 4 h"),
    ],
)
def test_duration(span: timedelta, text: str) -> None:
    assert view.duration(span.total_seconds()) == text


def test_the_picture_is_the_view_and_is_the_same_each_time() -> None:
    svg = picture.draw(_watched(**TRAINING), NOW)
    assert svg.startswith("<svg")
    for shown in ("12/40", "0.432", "Starting", "folds&#160;0&#160;and&#160;1&#160;train"):
        assert shown in svg
    assert "url(http" not in svg
    assert svg == picture.draw(_watched(**TRAINING), NOW)
