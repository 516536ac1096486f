"""Checkpoints that somebody else wrote: whoever reads one in a trainer's pod runs nothing of it."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.dataset.identity import file_hash
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.run.paths import FINAL, LATEST
from nnunet_trainer.run.plain import load_plain
from nnunet_trainer.run.restricted import only_restricted_loads
from nnunet_trainer.training.checkpoints import finished_epochs, readable_checkpoints
from nnunet_trainer.training.history import read_history
from tests.trainer.test_verify import Attack

FORCED = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


def write(path: Path, **extra: Any) -> Path:
    content = {"current_epoch": 3, "logging": {"lrs": [0.1, 0.2, 0.3]}, "network_weights": {"w": torch.arange(4.0)}}
    torch.save(content | extra, path)
    return path


def by_nnunet(path: Path) -> int:
    """Load as nnU-Net's predictor does, under the evaluation's eyes."""
    with only_restricted_loads({path: file_hash(path)}):
        content = torch.load(str(path), map_location=torch.device("cpu"), weights_only=False)
    assert content["network_weights"]["w"].tolist() == [0, 1, 2, 3]
    return int(content["current_epoch"])


READERS: dict[str, Callable[[Path], int]] = {
    "verification": lambda path: int(load_plain(path)["current_epoch"]),
    "resume": finished_epochs,
    "choice of the newest": lambda path: readable_checkpoints(path.parent)[0][0].epoch,
    "curves and report": lambda path: len(read_history(path).learning_rate),
    "evaluation": by_nnunet,
}


@pytest.mark.parametrize("reader", READERS)
def test_nothing_in_a_checkpoint_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, reader: str) -> None:
    monkeypatch.setenv(FORCED, "1")
    marker = tmp_path / "attacked"
    path = write(tmp_path / FINAL, extra=Attack(open, str(marker), "w"))
    assert READERS[reader](path) == 3
    assert not marker.exists()
    assert os.environ[FORCED] == "1", "nnU-Net's trainers read their own checkpoints with it"
    torch.load(path, weights_only=False)["extra"].close()
    assert marker.exists(), "the attack would have worked"


@pytest.mark.parametrize("reader", READERS)
def test_a_checkpoint_that_reaches_for_the_system_is_refused(tmp_path: Path, reader: str) -> None:
    marker = tmp_path / "attacked"
    path = write(tmp_path / FINAL, extra=Attack(os.system, f"touch {marker}"))
    with pytest.raises(Exception, match=r"system|none of them can be read"):
        READERS[reader](path)
    assert not marker.exists()


def test_a_link_to_another_runs_checkpoint_is_not_gone_on_from(tmp_path: Path) -> None:
    mine, other = tmp_path / "mine" / "fold_0", tmp_path / "other" / "fold_0"
    for folder in (mine, other):
        folder.mkdir(parents=True)
    write(other / FINAL)
    (mine / FINAL).symlink_to(other / FINAL)
    with pytest.raises(TrainerError, match="none of them can be read"):
        readable_checkpoints(mine)
    write(mine / LATEST)
    found, damaged = readable_checkpoints(mine)
    assert ([one.path.name for one in found], damaged) == ([LATEST], [FINAL])


def test_what_is_scored_is_what_was_hashed(tmp_path: Path) -> None:
    """Replaced after all checks, in the moment before it is loaded."""
    path = write(tmp_path / FINAL)
    with only_restricted_loads({path: file_hash(path)}):
        write(path, current_epoch=4)
        with pytest.raises(TrainerError, match="was replaced after it was verified") as caught:
            torch.load(path)
        assert caught.value.code == ExitCode.CHECKPOINT_UNUSABLE
    assert torch.load(path)["current_epoch"] == 4, "afterwards it is torch's own again"
