"""The live view, rendered to text as a person sees it."""

from datetime import timedelta
from typing import Any

import pytest

from nnunet_cli.kube.watched import Event, Watched, matter, message
from nnunet_cli.kube.watched import watched as read
from nnunet_cli.text.words import age, duration, short_duration
from nnunet_cli.watch import view
from tests.support.made_statuses import DONE, NOW, TRAINING, condition, fold, rendered, watched


def test_live_view_of_a_training_shows_every_fold_and_what_goes_on() -> None:
    events = (Event(NOW, False, "FoldStarted", "fold 0 starts"),)
    text = rendered(view.live(watched(events, **TRAINING), NOW))
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
        rows = rendered(view.live(watched(phase="Training", folds=[fold("0", epoch=epoch)]), NOW)).splitlines()
        (row,) = [row for row in rows if f"{epoch}/40" in row]
        return row.count("━")

    assert 0 == filled(0) < filled(10) < filled(30) < filled(40)


@pytest.mark.parametrize("width", [80, 100, 140])
def test_live_view_fits_the_terminal(width: int) -> None:
    text = rendered(view.live(watched(**TRAINING), NOW), width)
    assert max(len(row) for row in text.splitlines()) <= width
    for shown in ("12/40", "0.432", "-0.31/-0.25", "0.0073", "56 s"):
        assert shown in text


def test_live_view_before_the_operator_has_seen_the_training() -> None:
    assert "not seen by the operator yet" in rendered(view.live(watched(), NOW))


def test_a_fold_past_its_last_epoch_validates() -> None:
    text = rendered(view.live(watched(phase="Training", folds=[fold("0", epoch=40)]), NOW))
    assert "Validating" in text


def row_of(text: str, epochs: str) -> str:
    (row,) = [row for row in text.splitlines() if f" {epochs} " in row and " epochs" not in row]
    return row


def test_a_fold_that_anneals_has_the_end_of_its_tail_in_bar_epochs_and_time_left() -> None:
    rule = {"state": "Annealing", "epoch": 400, "endEpoch": 450}
    anneals = fold("0", epoch=412, epochsTarget=1000, epochSeconds=90, earlyStopping=rule)
    progress = {"epoch": 412, "epochsTarget": 450, "summary": "412/450", "estimatedSecondsLeft": 38 * 90}
    found = watched(phase="Training", folds=[anneals], progress=progress)
    text = rendered(view.live(found, NOW))
    row = row_of(text, "412/450")
    assert "Running" in row and "57 min 00 s" in row and "412/450 epochs, 57 min 00 s left" in text
    long = fold("0", epoch=412, epochsTarget=1000, epochSeconds=90)
    other = row_of(rendered(view.live(watched(folds=[long]), NOW)), "412/1000")
    assert row.count("━") > 2 * other.count("━") > 0, "the bar is full at the end of the tail"
    assert "fold 0 Running 412/450" in view.line(found)


def test_a_fold_that_was_stopped_early_validates_and_has_no_time_left() -> None:
    rule = {"state": "Stopped", "epoch": 380, "endEpoch": 430}
    stopped = fold("0", epoch=430, epochsTarget=1000, epochSeconds=90, earlyStopping=rule)
    found = watched(phase="Training", folds=[stopped])
    row = row_of(rendered(view.live(found, NOW)), "430/430")
    assert "Validating" in row and " h " not in row and "Running" not in row
    assert "fold 0 Validating 430/430" in view.line(found)


def test_a_loss_that_is_no_number_is_in_the_row_and_among_the_remarks() -> None:
    folds = [
        fold("0", nonfiniteLossEpochs=12, validationLoss=-0.25),
        fold("1", nonfiniteLossEpochs=1, validationLoss=-0.5),
        fold("2", phase="Completed", nonfiniteLossEpochs=3),
    ]
    text = rendered(view.live(watched(phase="Training", folds=folds), NOW), 120)
    assert "NaN/-0.25" in text and "NaN/-0.50" in text
    assert "LossNotFinite: the training loss is NaN or infinite in fold 0 for the last 12 epochs  " in text


def test_a_fold_that_ends_before_the_minimum_of_the_policy_is_among_the_remarks() -> None:
    policy = {"decidedAt": "2026-03-01T10:00:00Z", "minEpochs": 30}
    rule = {"state": "Annealing", "epoch": 15, "endEpoch": 20}
    text = rendered(view.live(watched(folds=[fold("0", earlyStopping=rule), fold("1")], policy=policy), NOW), 120)
    assert "EarlyStopBelowPolicy: fold 0 ends at epoch 20, and the policies ask for at least 30" in text


@pytest.mark.parametrize(
    ("conditions", "expected"),
    [
        ([condition("Progressing", "WaitingForGPU", "fold 0 waits for a GPU", "False")], "fold 0 waits for a GPU"),
        (
            [
                condition("Progressing", "WrongData", "nothing runs because the training has failed", "False"),
                condition("Failed", "WrongData", "planning and preprocessing: no such dataset"),
            ],
            "planning and preprocessing: no such dataset",
        ),
        (
            [condition("Suspended", "NotSuspended", "no", "False"), condition("Progressing", "Training", "trains")],
            "trains",
        ),
        ([], ""),
    ],
)
def test_the_message_is_the_one_that_says_most(conditions: list[dict[str, Any]], expected: str) -> None:
    assert message(watched(conditions=conditions).status) == expected


def test_what_another_condition_says_is_not_repeated() -> None:
    """The message of Progressing has it for the columns of kubectl get, and changes with each epoch there."""
    starved = "fold 0 waits 38 % of its time for data"
    conditions = [
        condition("Progressing", "Training", f"fold 0 trains; {starved}: raise spec.resources.cpu"),
        condition("DataStarved", "DataTooSlow", f"{starved}: raise spec.resources.cpu"),
    ]
    found = watched(conditions=conditions, problem={"reason": "DataTooSlow", "matter": starved})
    assert message(found.status) == matter(found.status) == ""
    assert rendered(view.live(found, NOW), 200).count(starved) == 1


def test_markup_in_a_message_is_shown_as_it_is() -> None:
    said = "image [red]x[/red] and [/oops] and C:\\"
    text = rendered(view.live(watched(conditions=[condition("Failed", "WrongData", said)]), NOW))
    assert said in text


def test_plain_line_while_training() -> None:
    assert view.line(watched(**TRAINING)) == (
        "Training | 22/80 epochs, 1 min 05 s left | fold 0 Running 12/40, pseudo-Dice 0.432 | fold 1 Starting 0/40"
    )


def test_plain_line_says_why_nothing_moves() -> None:
    blocked = {**TRAINING, "phase": "WaitingForGPU"}
    assert view.line(watched(**blocked)).endswith("| folds 0 and 1 train")
    assert view.line(watched()) == "not seen by the operator yet"


@pytest.mark.parametrize(
    ("watched", "finished"),
    [(watched(**DONE), True), (watched(**TRAINING), False), (watched(), False)],
)
def test_finished_is_what_the_conditions_say(watched: Watched, finished: bool) -> None:
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
    assert duration(span.total_seconds()) == text


def test_an_unreadable_status_and_a_deletion_are_said() -> None:
    metadata = {"namespace": "a", "name": "b", "deletionTimestamp": "2026-03-01T11:59:00Z"}
    found = read({"metadata": metadata, "spec": {}, "status": {"folds": 3}})
    text = rendered(view.live(found, NOW))
    assert "being deleted" in text and "its status can't be read" in text


def seen(*values: tuple[int, float]) -> view.History:
    history = view.History()
    for epoch, value in values:
        history.add(watched(folds=[fold("0", epoch=epoch, emaPseudoDice=value)]).status)
    return history


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ([(1, 0.1)], ""),
        ([(1, 0.1), (1, 0.1)], ""),
        ([(1, 0.1), (2, 0.1)], "▁▁"),
        ([(1, 0.0), (2, 0.5), (3, 1.0)], "▁▅█"),
        ([(3, 0.5), (1, 0.0), (2, 1.0)], "▁█"),
        ([(epoch, epoch / 100) for epoch in range(50)], "▁▂▂▃▄▄▅▅▆▇▇█"),
    ],
)
def test_what_was_seen_while_watching_is_a_line(values: list[tuple[int, float]], line: str) -> None:
    assert seen(*values).line("0") == line


@pytest.mark.parametrize("width", [80, 120])
def test_the_line_takes_no_room_from_the_numbers(width: int) -> None:
    text = rendered(view.live(watched(**TRAINING), NOW, seen(*[(n, n / 100) for n in range(12)])), width)
    (row,) = [row for row in text.splitlines() if "12/40" in row]
    for shown in ("█", "0.432", "-0.31/-0.25", "0.0073", "56 s"):
        assert shown in row
    assert max(len(row) for row in text.splitlines()) <= width
    assert ("▁" in row) is (width == 120)


def test_folds_that_do_not_fit_are_counted_and_the_busy_ones_shown() -> None:
    folds = [fold(str(n), phase="Completed" if n < 20 else "Running", epoch=n) for n in range(24)]
    folds.append(fold("24", phase="Failed", epoch=30))
    found = watched(phase="Training", folds=folds, conditions=[condition("Progressing", "Training", "they train")])
    text = rendered(view.live(found, NOW, height=16))
    assert len(text.splitlines()) == 16
    assert "30/40" in text and "23/40" in text and " 9/40" not in text
    assert "and 17 others: 17 Completed" in text


WARNING = (
    "400 epochs of 250 iterations are 40 % of nnU-Net's standard schedule: shorter ones usually cost 1-3 % Dice. " * 2
)


def crowded() -> Watched:
    """Five folds with numbers as they come, something to mind, and Events."""
    numbers = {"emaPseudoDice": 0.886, "trainingLoss": -0.8712, "validationLoss": -0.8213, "learningRate": 0.0047}
    folds = [fold(str(n), epoch=571, epochsTarget=1000, epochSeconds=21, **numbers) for n in range(5)]
    said = [
        condition(
            "Progressing", "Training", "each of folds 0, 1, 2, 3 and 4 trains on a GPU of its own, node after node"
        ),
        condition("StandardSchedule", "ShortSchedule", WARNING.strip(), "False"),
    ]
    events = [Event(NOW, True, "ShortSchedule", WARNING.strip())]
    events += [
        Event(NOW, False, "FoldStarted", f"fold {n} trains for 1000 epochs, {'on and on ' * 8}") for n in range(5)
    ]
    progress = {"epoch": 2855, "epochsTarget": 5000, "summary": "2855/5000", "estimatedSecondsLeft": 9000}
    return watched(tuple(events), phase="Training", folds=folds, conditions=said, progress=progress)


@pytest.mark.parametrize(("width", "height"), [(80, 24), (60, 24), (60, 18), (110, 40), (80, 15), (50, 20)])
def test_it_fits_a_small_terminal(width: int, height: int) -> None:
    history = view.History()
    for epoch in (1, 2, 3):
        for name in range(5):
            history.add(watched(folds=[fold(str(name), epoch=epoch, emaPseudoDice=epoch / 3)]).status)
    rows = rendered(view.live(crowded(), NOW, history, height=height), width).splitlines()
    assert len(rows) <= height and max(len(row) for row in rows) <= width
    assert rows[0].startswith("╭") and rows[-1].startswith("╰") and rows[-1].endswith("╯"), "the frame is whole"
    text = "\n".join(rows)
    assert "fold 4 trains for" in text, "the newest Event"
    assert "571/1000" in text and "2 h 30 min" in text and "0.886" in text, "what matters of a fold"
    assert text.count("ShortSchedule") == 1, "a warning stands there once"
    headings = next(row for row in rows if "fold " in row and "left" in row)
    assert "epoch" in headings and "…" not in headings and "…" not in rows[rows.index(headings) - 1]


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (110, {"so far", "rate", "train/val", "━"}),
        (80, {"rate", "train/val", "━"}),
        (72, {"train/val", "━"}),
        (60, {"━"}),
    ],
)
def test_what_says_least_gives_way_on_a_narrow_terminal(width: int, shown: set[str]) -> None:
    history = view.History()
    for epoch in (1, 2, 3):
        history.add(watched(folds=[fold("0", epoch=epoch, emaPseudoDice=epoch / 3)]).status)
    text = rendered(view.live(crowded(), NOW, history), width)
    assert {heading for heading in ("so far", "rate", "train/val", "━") if heading in text} == shown


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ({"state": "Watching"}, "fold 0, 1: watching"),
        ({"state": "Observed", "epoch": 300}, "found a plateau at epoch 300 and only records it"),
        (
            {"state": "Annealing", "epoch": 300, "endEpoch": 350},
            "found a plateau at epoch 300, anneals until epoch 350",
        ),
        (
            {"state": "Stopped", "epoch": 300, "endEpoch": 350, "epochsSaved": 650},
            "ended at epoch 350 (650 epochs less)",
        ),
        ({"state": "Watching", "suppressedEpoch": 300}, "watching, stop at epoch 300 suppressed by the policy"),
        ({"state": "Disabled"}, ""),
    ],
)
def test_early_stopping_and_the_minimum_of_the_policy(rule: dict[str, Any], said: str) -> None:
    policy = {"decidedAt": "2026-03-01T10:00:00Z", "minEpochs": 1000}
    found = watched(folds=[fold("0", earlyStopping=rule), fold("1", earlyStopping=rule)], policy=policy)
    lines = rendered(view.live(found, NOW), 120)
    assert said in lines and ("early stopping" in lines) == bool(said)
    assert "policy: at least 1000 epochs of each fold; no early stop acts before" in lines


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (condition("Stalled", "NoEpochFinished", "fold 0 since epoch 3"), True),
        (condition("Stalled", "NotStalled", "", "False"), False),
        (condition("DataStarved", "DataTooSlow", "fold 0 waits 38 % of its time for data"), True),
        (condition("DataStarved", "NotDataStarved", "", "False"), False),
        (condition("PolicyCompliant", "PolicyNotEnforced", "it runs all the same", "False"), True),
        (condition("PolicyCompliant", "PolicyExcepted", "ticket QM-17"), True),
        (condition("PolicyCompliant", "PoliciesKept", "it keeps the rules"), False),
        (condition("StandardSchedule", "ShortSchedule", "1-3 % Dice", "False"), True),
        (condition("StandardSchedule", "StandardEpochs", "1000 epochs"), False),
        (condition("StandardSchedule", "ChangedStandard", "Cosine", "False"), False),
    ],
)
def test_conditions_that_are_to_be_minded(found: dict[str, Any], said: bool) -> None:
    text = rendered(view.live(watched(conditions=[found]), NOW))
    assert (found["reason"] in text) is said


def test_what_the_headline_says_is_not_said_again() -> None:
    held = [
        condition(t, "PolicyDenied", "must be 1000", s)
        for t, s in (("Suspended", "True"), ("PolicyCompliant", "False"))
    ]
    assert rendered(view.live(watched(conditions=held), NOW)).count("must be 1000") == 1


def test_a_notice_about_the_view_is_on_top() -> None:
    lines = rendered(view.live(watched(**TRAINING), NOW, notice="the cluster does not answer")).splitlines()
    assert "the cluster does not answer" in lines[1]


@pytest.mark.parametrize(
    ("seconds", "short", "oldest"),
    [(45, "45s", "45s"), (200, "3m 20s", "3m"), (11520, "3h 12m", "3h"), (187200, "2d 4h", "2d"), (-1, "0s", "0s")],
)
def test_short_durations_of_columns(seconds: float, short: str, oldest: str) -> None:
    assert (short_duration(seconds), age(seconds)) == (short, oldest)
