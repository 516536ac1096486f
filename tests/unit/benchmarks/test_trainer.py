"""The benchmark of the trainer: reading nnU-Net's log, figures from runs."""

from pathlib import Path
from typing import Any

import pytest

from hack.benchmarks.trainer.report import checkpoint_rows, page, side_rows
from hack.benchmarks.trainer.sides import between_seconds, epoch_seconds, training_losses

PAGE = Path(__file__).parents[3] / "docs/benchmarks/trainer.md"
LOG = """\
2026-01-01 10:00:00.000000: Epoch 0
2026-01-01 10:00:00.100000: Current learning rate: 0.01
2026-01-01 10:00:09.000000: train_loss -0.1309
2026-01-01 10:00:09.000000: Epoch time: 9.0 s
2026-01-01 10:00:10.500000: Epoch 1
a line of something else
2026-01-01 10:00:19.000000: train_loss -0.2
2026-01-01 10:00:19.000000: Epoch time: 9.0 s
2026-01-01 10:00:20.000000: Training done.
"""


def test_an_epoch_lasts_until_the_next_one_begins() -> None:
    assert epoch_seconds(LOG) == [10.5, 9.5]
    assert between_seconds(LOG) == [1.5, 0.5]
    assert training_losses(LOG) == ["-0.1309", "-0.2"]


def run(side: str, seconds: list[float], losses: str = "ab") -> dict[str, Any]:
    between = [0.5 for _ in seconds]
    measured = {"epoch_seconds": seconds, "between_seconds": between, "peak_mib": 100.0}
    return {"side": side, "losses": list(losses), **measured}


@pytest.mark.parametrize(("ours", "met"), [(10.05, True), (10.2, False)])
def test_the_ratio_is_that_of_the_rounds(ours: float, met: bool) -> None:
    # The second round met a slower machine, and the first epoch of a run does not count.
    runs = [run("plain", [99, 10, 10]), run("ours", [1, ours, ours])]
    runs += [run("ours", [1, 2 * ours, 2 * ours]), run("plain", [99, 20, 20])]
    row = side_rows(runs)[0]
    assert row.met is met and row.ratio == f"{ours / 10:.3f}"


def test_different_losses_are_a_miss() -> None:
    rows = side_rows([run("plain", [1, 1]), run("ours", [1, 1], losses="ac")])
    assert [row.met for row in rows if row.what == "training losses"] == [False]


def test_the_cost_of_a_checkpoint_is_a_share_of_an_epoch() -> None:
    found = {"plain": [0.1], "ours": [0.3, 0.3, 0.9], "serialise": [0.1], "write_and_flush": [0.2], "bytes": [250e6]}
    rows = {row.what: row for row in checkpoint_rows(found)}
    assert rows["share of an epoch of 60 s"].ours == "0.50 %" and rows["share of an epoch of 60 s"].met
    assert rows["a checkpoint of 250 MB, s"].ratio == "3.0"
    text = page(
        list(rows.values()), [run("plain", [2, 2]), run("ours", [2, 1])], {"rounds": 1, "epochs": 2, "iterations": 3}
    )
    assert "round by round: 0.500." in text and "1 runs of each side" in text


def test_the_page_has_the_rows_that_the_benchmark_writes() -> None:
    found = {"plain": [0.1], "ours": [0.3], "serialise": [0.1], "write_and_flush": [0.2], "bytes": [250e6]}
    rows = [*side_rows([run("plain", [2, 2]), run("ours", [2, 1])]), *checkpoint_rows(found)]
    table = [line.split("|")[1].strip() for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    assert table[1:] == [row.what for row in rows]
