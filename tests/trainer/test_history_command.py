"""`nnunet-trainer history`: what `kubectl nnunet curves` reads, whoever wrote the checkpoints."""

import json
import math
import os
import subprocess
from pathlib import Path
from typing import Any

from nnunet_trainer.run.paths import FINAL, LATEST
from tests.trainer.test_hostile_checkpoints import write
from tests.trainer.test_verify import Attack

MODEL = Path("Dataset001_A", "nnUNetTrainer__nnUNetPlans__2d")


def history(run: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["nnunet-trainer", "history", str(run)], capture_output=True, text=True, check=False)


def fold(run: Path, name: str) -> Path:
    folder = run / MODEL / f"fold_{name}"
    folder.mkdir(parents=True)
    return folder


def test_each_fold_in_a_line(tmp_path: Path) -> None:
    marker = tmp_path / "attacked"
    logged: dict[str, Any] = {"lrs": [0.1, 0.2, 0.3], "mean_fg_dice": [0.5, math.nan, 0.7]}
    # The attack leaves everything else as it is, the other one names what can't be read.
    write(fold(tmp_path, "0") / LATEST, logging=logged, extra=Attack(open, str(marker), "w"))
    write(fold(tmp_path, "1") / FINAL, extra=Attack(os.system, f"touch {marker}"))
    write(fold(tmp_path, "2") / LATEST, logging="nothing of the kind")
    fold(tmp_path, "3")
    write(fold(tmp_path / "replicate-2", "0") / LATEST)
    run = history(tmp_path)
    assert run.returncode == 0, run.stderr
    told = {line["fold"]: line for line in map(json.loads, run.stdout.splitlines())}
    assert list(told) == ["0", "1", "2", "0-r2"] and not marker.exists()
    assert (told["0"]["epoch"], told["0"]["learning_rate"], told["0"]["training_loss"]) == (3, [0.1, 0.2, 0.3], [])
    assert [math.isnan(value) for value in told["0"]["pseudo_dice"]] == [False, True, False]
    assert "none of them can be read" in told["1"]["problem"] and told["2"]["problem"]
    assert set(told["1"]) == {"fold", "problem"}


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    run = history(tmp_path / "nowhere")
    assert run.returncode == 1 and run.stderr.splitlines()[-1].endswith("nowhere is no folder"), run.stderr
