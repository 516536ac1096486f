"""Segmentations on a volume that fills up: ITK writes what fits, and reports no error."""

import errno
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from nnunetv2.imageio.simpleitk_reader_writer import SimpleITKIO
from nnunetv2.inference import export_prediction

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.run.fence import Fence
from nnunet_trainer.scoring.predictions import export_atomically, whole_ones

GEOMETRY = {"sitk_stuff": {"spacing": (1, 1, 1), "origin": (0, 0, 0), "direction": (1, 0, 0, 0, 1, 0, 0, 0, 1)}}


def write_segmentation(*arguments: Any) -> None:
    """Write noise as nnU-Net's export writes the segmentation: by the same writer."""
    noise = np.random.default_rng(0).integers(0, 3, (40, 40, 40), dtype=np.uint8)
    SimpleITKIO().write_seg(noise, f"{arguments[5]}.nii.gz", GEOMETRY)


@pytest.mark.parametrize("free_bytes", [0, 4096])
def test_a_full_volume_leaves_no_half_segmentation(
    small_volume: Path, free_bytes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export_prediction, "export_prediction_from_logits", write_segmentation)
    stat = os.statvfs(small_volume)
    (small_volume / "ballast").write_bytes(b"\0" * (stat.f_bavail * stat.f_frsize - free_bytes))
    target = str(small_volume / "case")
    with pytest.raises((OSError, RuntimeError)) as caught:
        export_atomically(None, {}, None, None, {"file_ending": ".nii.gz"}, target)
    if isinstance(caught.value, OSError):
        assert caught.value.errno == errno.ENOSPC
    assert whole_ones(small_volume, ".nii.gz") == set()

    (small_volume / "ballast").unlink()
    export_atomically(None, {}, None, None, {"file_ending": ".nii.gz"}, target)
    assert whole_ones(small_volume, ".nii.gz") == {"case"}


@pytest.mark.parametrize("takes_its_file", [False, True], ids=["while it wrote", "and cleaned up"])
def test_an_attempt_that_was_replaced_puts_no_segmentation_there(
    tmp_path: Path, takes_its_file: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "validation"
    folder.mkdir()
    old = Fence(tmp_path)

    def hang(*arguments: Any) -> None:
        write_segmentation(*arguments)
        Fence(tmp_path)
        if takes_its_file:
            whole_ones(folder, ".nii.gz")

    monkeypatch.setattr(export_prediction, "export_prediction_from_logits", hang)
    with pytest.raises(TrainerError) as caught:
        export_atomically(None, {}, None, None, {"file_ending": ".nii.gz"}, str(folder / "case"), fence=old)
    assert caught.value.code == ExitCode.PREEMPTED
    assert whole_ones(folder, ".nii.gz") == set()
