"""The benchmark of the trainer, with few iterations: both sides train epoch by epoch in turns, and do the same."""

import json
from pathlib import Path

import pytest

from hack.benchmarks.trainer import sides
from hack.benchmarks.trainer.report import epoch_rows


def test_both_sides_train_in_turns_and_each_epoch_is_split_into_parts(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sides.main([f"--stop={tmp_path / 'stop'}", "--epochs=3", "--iterations=2", "--validation-iterations=1"])
    pairs = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [pair["epoch"] for pair in pairs] == [0, 1, 2]
    for pair in pairs:
        for side in ("plain", "ours"):
            parts = pair[side]["parts"]
            assert set(parts) == {"batches", "steps", "hooks", "between"}
            assert all(seconds > 0 for seconds, _ in parts.values()), pair
            # A process that waits for its turn is not counted: no part is longer than what it computes by far.
            assert parts["steps"][1] > 0
    rows = {row.what: row for row in epoch_rows(pairs, pairs, 3)}
    assert rows["training losses"].met is True, pairs
    plain, ours = (float(getattr(rows["after the last batch, CPU s"], side)) for side in ("plain", "ours"))
    assert ours < plain, "plain nnU-Net draws after each epoch"
