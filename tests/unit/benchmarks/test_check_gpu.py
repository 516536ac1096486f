"""What the check for GPUs tells of the trainings that it saw."""

from types import SimpleNamespace
from typing import Any

import pytest

from hack.benchmarks.gpu.report import PLAIN, RESUMED, SEEDED, TRAINER, Row, rows, text


def run(seconds: float = 10.0, losses: tuple[float, ...] = (0.5, 0.25), wait: float = 0.5) -> Any:
    two = [seconds, seconds]
    return SimpleNamespace(
        epoch_seconds=two, after_seconds=[0.1, 0.1], wait_seconds=[wait, wait], losses=list(losses), peak_mib=100.0
    )


def by_name(found: list[Row], what: str) -> Row:
    return next(row for row in found if row.what.startswith(what))


@pytest.mark.parametrize(("seconds", "good"), [(10.4, True), (10.6, False)])
def test_an_epoch_is_held_against_plain_nnunets(seconds: float, good: bool) -> None:
    found = rows({PLAIN: run(), TRAINER: run(seconds)})
    row = by_name(found, "an epoch, plain")
    assert row.good is good and f"ratio {seconds / 10:.3f}" in row.told
    assert by_name(found, "of that waiting").both == ("5 %", "5 %")


@pytest.mark.parametrize(
    ("losses", "told", "good"),
    [
        ((0.5, 0.25), "equal", True),
        ((0.5, 0.26), "differ by up to 0.0100", True),
        ((0.5, 0.35), "differ by up to 0.1000", False),
        ((0.5,), "2 epochs and 1", False),
    ],
)
def test_losses_have_to_be_close(losses: tuple[float, ...], told: str, good: bool) -> None:
    row = by_name(rows({SEEDED: run(), RESUMED: run(losses=losses)}), "training losses in peace")
    assert row.good is good and told in row.told


@pytest.mark.parametrize(("same_batches", "good"), [(True, False), (False, None)])
def test_losses_of_other_batches_are_told_and_not_judged(same_batches: bool, good: bool | None) -> None:
    found = {PLAIN: run(), TRAINER: run(losses=(0.5, 0.35)), SEEDED: run(), RESUMED: run(losses=(0.5, 0.35))}
    told = rows(found, same_batches=same_batches)
    row = by_name(told, "training losses, plain")
    assert row.good is good and "differ by up to 0.1000" in row.told
    assert ("they had other batches" in row.told) is not same_batches
    assert by_name(told, "training losses in peace").good is False


def test_only_what_was_seen_is_told_and_the_rest_is_named() -> None:
    assert rows({TRAINER: run()}) == []
    said = text(rows({PLAIN: run(), TRAINER: run(20.0)}), {"two processes by NCCL": "there is one GPU"}, "some GPU")
    assert said.startswith("On some GPU.") and "| BAD |" in said
    assert said.endswith("Not checked:\n- two processes by NCCL: there is one GPU\n")
