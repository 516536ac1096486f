"""An attempt that another one has replaced must not write."""

from pathlib import Path

import pytest

from nnunet_operator.api.exit_codes import ExitCode
from nnunet_trainer.failures import TrainerError
from nnunet_trainer.fence import FENCE_FILE, Fence


def test_the_newest_attempt_may_write_and_no_other(tmp_path: Path) -> None:
    old = Fence(tmp_path)
    old.check()
    new = Fence(tmp_path)
    new.check()
    with pytest.raises(TrainerError) as caught:
        old.check()
    assert caught.value.code == ExitCode.PREEMPTED and "taken over" in caught.value.message
    new.check()


def test_a_folder_that_is_gone_belongs_to_nobody(tmp_path: Path) -> None:
    fence = Fence(tmp_path)
    (tmp_path / FENCE_FILE).unlink()
    with pytest.raises(TrainerError, match="removed"):
        fence.check()
