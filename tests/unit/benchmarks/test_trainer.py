"""The benchmark of the trainer: reading nnU-Net's log, the watch that splits an epoch, figures from epochs."""

import math
from pathlib import Path
from typing import Any

import pytest

from hack.benchmarks.trainer import __main__ as bench
from hack.benchmarks.trainer.logs import between_seconds, epoch_seconds, training_losses
from hack.benchmarks.trainer.page import page
from hack.benchmarks.trainer.report import FEWEST_PAIRS, all_rows, epoch_rows, ratio, standard_row

PAGE = Path(__file__).parents[3] / "docs/benchmarks/trainer.md"
CHECKPOINT = {"plain": [0.1], "ours": [0.3, 0.3, 0.9], "serialise": [0.1], "write_and_flush": [0.2], "bytes": [250e6]}
STEPS = 300
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


def side(steps: float, between: float = 0.0, hooks: float = 0.0, loss: str = "0.5") -> dict[str, Any]:
    """An epoch of one side; on a busy machine the clock shows twice its CPU seconds."""
    seconds = {"batches": 1.0, "steps": steps, "hooks": hooks, "between": between}
    return {"parts": {part: [2 * cpu, cpu] for part, cpu in seconds.items()}, "loss": loss, "peak_mib": 100.0}


def pairs(*ratios: float, between: tuple[float, float] = (0.8, 0.01), loss: str = "0.5") -> list[Any]:
    """The first epoch of a run, which does not count, and others with these ratios on a machine that gets slower."""
    first = {"epoch": 0, "plain": side(99), "ours": side(1)}
    others = [
        {
            "epoch": number,
            "plain": side(9.0 * number - 1 + 1 - between[0], between[0]),
            "ours": side((9.0 * number + 1) * value - 1 - between[1], between[1], loss=loss),
        }
        for number, value in enumerate(ratios, 1)
    ]
    return [first, *others]


def test_the_ratio_is_that_of_each_pair_and_says_how_sure_it_is() -> None:
    found = ratio(pairs(0.98, 1.0, 0.99))
    assert found.value == pytest.approx(0.99, abs=1e-4) and found.pairs == 3
    assert found.error == pytest.approx(0.0058, abs=1e-4) and not found.sure, "three are not enough"
    assert found.words == "0.990 ± 0.6 %"
    many = [0.97, 1.01] * (FEWEST_PAIRS // 2)
    assert ratio(pairs(*many)).sure
    assert not ratio(pairs(*[0.8, 1.2] * (FEWEST_PAIRS // 2))).sure, "a ratio that may be 6 % off"
    assert math.isinf(ratio(pairs(0.9)).error) and not ratio(pairs()).sure


@pytest.mark.parametrize(("value", "met"), [(0.999, True), (1.004, False)])
def test_half_a_percent_too_much_is_a_miss(value: float, met: bool) -> None:
    row = epoch_rows(pairs(*[value] * FEWEST_PAIRS), pairs(1.0), STEPS)[0]
    assert row.met is met and row.ratio == f"{value:.3f} ± 0.0 %"


def test_too_few_and_too_short_epochs_are_no_verdict() -> None:
    """What follows the last batch weighs twelve times as much in epochs of 20 iterations."""
    assert epoch_rows(pairs(0.9, 0.9), pairs(1.0), STEPS)[0].met is None
    assert epoch_rows(pairs(*[0.9] * FEWEST_PAIRS), pairs(1.0), 24)[0].met is None


def test_different_losses_are_a_miss() -> None:
    same, other, close = pairs(1.0), pairs(1.0, loss="0.502"), pairs(1.0, loss="0.50001")
    assert [row.met for row in epoch_rows(close, close, STEPS) if row.what == "training losses"] == [True]
    assert [row.met for row in epoch_rows(same, same, STEPS) if row.what == "training losses"] == [True]
    for long, short in ((same, other), (other, same)):
        assert [row.met for row in epoch_rows(long, short, STEPS) if row.what == "training losses"] == [False]


def test_what_is_ours_is_added_to_an_epoch_of_standard_size() -> None:
    # 0.8 s of the CPU against 0.02 s by the clock after the last batch, and a checkpoint each epoch against each 50.
    row = standard_row(pairs(1.0), pairs(1.0), CHECKPOINT, 10)
    assert (row.plain, row.ours, row.met) == ("32.80", "32.32", True)
    assert row.ratio == "0.985"
    slow = standard_row(pairs(1.0), pairs(1.0), CHECKPOINT | {"ours": [2.0]}, 10)
    assert slow.met is False


def test_the_cost_of_a_checkpoint_is_a_share_of_an_epoch() -> None:
    rows = {row.what: row for row in all_rows(kept(), STEPS)}
    assert rows["share of an epoch of 32 s"].ours == "0.94 %" and rows["share of an epoch of 32 s"].met
    assert rows["a checkpoint of 250 MB, s"].ratio == "3.0"


def kept(**changes: Any) -> dict[str, Any]:
    """What was measured."""
    return {"pairs": pairs(0.9, 0.9), "short": pairs(1.0), "checkpoint": CHECKPOINT} | changes


def test_the_page_says_whether_it_was_run_long_enough() -> None:
    rows = all_rows(kept(), STEPS)
    assert "**The 1 % that it was to be run for was not reached**" in page(rows, kept(), 250, 50)
    enough = kept(pairs=pairs(*[0.9, 0.91] * FEWEST_PAIRS))
    text = page(all_rows(enough, STEPS), enough, 250, 50)
    assert "less than the 1 % that it was run for" in text and "A core was theirs for 50 % of the time" in text
    assert "keeps memory that a batch frees" in text and "shorter than nnU-Net's" not in text
    dearer = kept(pairs=pairs(*[1.06, 1.07] * FEWEST_PAIRS))
    assert "**to be measured again on an idle machine**" in page(all_rows(dearer, STEPS), dearer, 250, 50)
    equal = kept(pairs=pairs(*[0.95, 1.06] * FEWEST_PAIRS, between=(0.0, 0.0)))
    text = page(all_rows(equal, 12), equal, 10, 2)
    assert (
        not any(word in text for word in ("measured again", "keeps memory"))
        and "shorter than nnU-Net's 250 and 50" in text
    )
    text = page(all_rows(enough, STEPS), enough, 250, 50)
    assert "1 % of an epoch of 32 s is 1067 µs in each iteration" in text


def test_the_page_has_the_rows_that_the_benchmark_writes() -> None:
    table = [line.split("|")[1].strip() for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    assert table[1:] == [row.what for row in all_rows(kept(), STEPS)]


def test_what_was_measured_is_gone_on_with(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench, "SCRATCH", tmp_path)
    options = bench._options([])
    first = bench.Kept(options, "image:1")
    first.add(checkpoint=CHECKPOINT)
    for pair in pairs(0.9):
        first.add(pair=pair)
    assert bench.Kept(options, "image:1").found == kept(pairs=pairs(0.9), short=[])
    for other in (bench.Kept(options, "image:2"), bench.Kept(bench._options(["--iterations=9"]), "image:1")):
        assert other.found["pairs"] == [], "another image or length is another measurement"
    bench.Kept(bench._options(["--anew"]), "image:1")
    assert bench.Kept(options, "image:1").found["pairs"] == []
