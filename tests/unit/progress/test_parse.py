"""Metrics of a trainer -> sample; garbage -> an error or nothing, never a wrong number."""

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Gauge, Histogram, generate_latest

from nnunet_api.contract import METRIC_LABELS, Metric
from nnunet_operator.progress.model import FoldSample
from nnunet_operator.progress.parse import MAX_LINES, parse_sample

LABELS = {"namespace": "clinic", "training": "hippo", "fold": "1"}
TEXT = """\
# HELP nnunet_epoch Finished epochs.
# TYPE nnunet_epoch gauge
nnunet_epoch{L} 412.0
nnunet_epochs_target{L} 1000.0
nnunet_loss{L,split="train"} -0.81
nnunet_loss{L,split="validation"} -0.79
nnunet_nonfinite_loss_epochs{L} 2.0
nnunet_pseudo_dice{L,label="Anterior"} 0.9
nnunet_ema_pseudo_dice{L} 0.8731
nnunet_best_ema_pseudo_dice{L} 0.88
nnunet_learning_rate{L} 0.0062
nnunet_epoch_duration_seconds_bucket{L,le="10.0"} 2.0
nnunet_epoch_duration_seconds_sum{L} 25.0
nnunet_epoch_duration_seconds_count{L} 2.0
nnunet_last_epoch_timestamp_seconds{L} 1772366400.5
nnunet_checkpoint_epoch{L} 411.0
nnunet_epochs_since_improvement{L} 3.0
nnunet_attempts{L} 2.0
nnunet_lost_epochs{L} 1.0
nnunet_early_stopping_state{L,state="Watching"} 0.0
nnunet_early_stopping_state{L,state="Annealing"} 1.0
nnunet_early_stopping_epoch{L} 400.0
nnunet_end_epoch{L} 450.0
nnunet_median_epoch_seconds{L} 12.25
nnunet_held_seconds{L} 5000.5
nnunet_lost_seconds{L} 60.0
nnunet_checkpoint_passed_over{L,checkpoint="checkpoint_latest.pth"} 1.0
nnunet_checkpoint_passed_over{L,checkpoint="checkpoint_best.pth"} 1.0
""".replace("{L", '{namespace="clinic",training="hippo",fold="1"')


def test_all_series() -> None:
    assert parse_sample(TEXT, LABELS) == FoldSample(
        epoch=412,
        epochs_target=1000,
        training_loss=-0.81,
        nonfinite_loss_epochs=2,
        validation_loss=-0.79,
        ema_pseudo_dice=0.8731,
        best_ema_pseudo_dice=0.88,
        learning_rate=0.0062,
        epoch_seconds=12.5,
        checkpoint_epoch=411,
        attempts=2,
        lost_epochs=1,
        last_epoch_time=datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC),
        early_stopping_state="Annealing",
        early_stopping_epoch=400,
        end_epoch=450,
        median_epoch_seconds=12.25,
        held_seconds=5000.5,
        lost_seconds=60.0,
        passed_over="checkpoint_best.pth, checkpoint_latest.pth",
    )


def test_what_the_client_library_writes() -> None:
    registry = CollectorRegistry()
    Gauge(Metric.EPOCH, "Finished epochs.", METRIC_LABELS, registry=registry).labels("clinic", "hippo", "1").set(7)
    duration = Histogram(Metric.EPOCH_DURATION, "Duration.", METRIC_LABELS, registry=registry)
    duration.labels("clinic", "hippo", "1").observe(3)
    sample = parse_sample(generate_latest(registry).decode(), LABELS)
    assert (sample.epoch, sample.epoch_seconds) == (7, 3)


def test_a_reused_address_tells_nothing_about_this_fold() -> None:
    assert parse_sample(TEXT, {**LABELS, "training": "other"}) == FoldSample()


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ("nnunet_epoch NaN", "epoch"),
        ("nnunet_epoch -3", "epoch"),
        ("nnunet_epoch 1e300", "epoch"),
        ("nnunet_ema_pseudo_dice NaN", "ema_pseudo_dice"),
        ("nnunet_learning_rate +Inf", "learning_rate"),
        ("nnunet_epoch_duration_seconds_sum 3\nnnunet_epoch_duration_seconds_count 0", "epoch_seconds"),
        ("nnunet_epoch_duration_seconds_sum 3", "epoch_seconds"),
        ("nnunet_last_epoch_timestamp_seconds 1e18", "last_epoch_time"),
        ("nnunet_last_epoch_timestamp_seconds 0", "last_epoch_time"),
        (f'nnunet_epoch{{x="{"y" * 5000}"}} 3', "epoch"),
        ("nnunet_end_epoch -1", "end_epoch"),
        ("nnunet_held_seconds NaN", "held_seconds"),
        ('nnunet_early_stopping_state{state="Dreaming"} 1', "early_stopping_state"),
        ('nnunet_early_stopping_state{state="Stopped"} 0', "early_stopping_state"),
        ("nnunet_early_stopping_state 1", "early_stopping_state"),
        ("nnunet_checkpoint_passed_over 1", "passed_over"),
        ('nnunet_checkpoint_passed_over{checkpoint="a"} 0', "passed_over"),
    ],
)
def test_numbers_that_mean_nothing_are_absent(line: str, field: str) -> None:
    assert getattr(parse_sample(f"{line}\n"), field) is None


@pytest.mark.parametrize("text", ["nnunet_epoch seven\n", 'nnunet_epoch{a="b 3\n', "nnunet_epoch{,,} x y z\n"])
def test_garbage_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="text format"):
        parse_sample(text)


def test_other_metrics_are_ignored() -> None:
    assert parse_sample("python_gc_total garbage here\n<html>\nnnunet_epoch 3\n").epoch == 3


def test_a_flood_is_cut() -> None:
    flood = "".join(f'nnunet_epoch{{x="{i}"}} {i}\n' for i in range(10 * MAX_LINES))
    assert parse_sample(flood).epoch == MAX_LINES - 1


@settings(max_examples=100)
@given(st.lists(st.one_of(st.text(max_size=40), st.text(max_size=40).map("nnunet_epoch{".__add__)), max_size=8))
def test_never_anything_but_value_error(lines: list[str]) -> None:
    try:
        sample = parse_sample("\n".join(lines))
    except ValueError:
        return
    assert sample.epoch is None or sample.epoch >= 0
