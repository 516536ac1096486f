"""Predictions for a next stage as nnU-Net writes and reads them: whole, and of one checkpoint."""

from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from nnunetv2.inference import export_prediction
from nnunetv2.inference.export_prediction import resample_and_save
from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2, nnUNetDatasetNumpy
from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.run.fence import Fence
from nnunet_trainer.run.paths import FINAL
from nnunet_trainer.scoring.stage_predictions import FOLDER, fault, read_predictions
from nnunet_trainer.training.next_stages import NextStages, save_atomically
from tests.trainer.world import truncate

LOW, HIGH = "3d_lowres", "3d_cascade_fullres"
DESCRIPTION = {"labels": {"background": 0, "a": 1}, "file_ending": ".nii.gz", "channel_names": {"0": "MRI"}}
RESAMPLING = {"is_seg": False, "order": 1, "order_z": 0, "force_separate_z": None}
PLANS: dict[str, Any] = {
    "plans_name": "nnUNetPlans",
    "transpose_forward": [0, 1, 2],
    "transpose_backward": [0, 1, 2],
    "label_manager": "LabelManager",
    "configurations": {
        LOW: {
            "spacing": [2.0, 2.0, 2.0],
            "patch_size": [8, 8, 8],
            "data_identifier": "low",
            "architecture": {},
            "resampling_fn_probabilities": "resample_data_or_seg_to_shape",
            "resampling_fn_probabilities_kwargs": RESAMPLING,
        },
        HIGH: {"data_identifier": "high", "architecture": {}},
    },
}
PROPERTIES = {"spacing": [1.0, 1.0, 1.0], "shape_after_cropping_and_before_resampling": [8, 10, 8]}


class Fold:
    """A fold that is trained, with data of the next stage for two cases."""

    def __init__(self, root: Path, dataset: Any) -> None:
        self.dataset, self.model = dataset, root / "model"
        self.folder = self.model / "fold_0"
        self.predicted = self.model / FOLDER / HIGH
        for folder in (self.folder, self.predicted, root / "data/high"):
            folder.mkdir(parents=True)
        (self.folder / FINAL).write_bytes(b"weights")
        chunks = {"chunks": (1, 8, 10, 8), "blocks": (1, 8, 10, 8)} if dataset is nnUNetDatasetBlosc2 else {}
        for case in ("a", "b"):
            image: np.ndarray = np.zeros((1, 8, 10, 8), np.float32)
            dataset.save_case(image, image.astype(np.int8), {}, str(root / "data/high" / case), **chunks)
        self.plans = PlansManager(PLANS)
        self.trainer = SimpleNamespace(
            output_folder=str(self.folder),
            plans_manager=self.plans,
            preprocessed_dataset_folder_base=str(root / "data"),
        )
        self.fence = Fence(self.folder)

    def stages(self) -> NextStages:
        """Return the predictions as an attempt sees them that begins now."""
        return NextStages(self.trainer, [HIGH], ["a", "b"], self.fence)

    def predict(self, case: str, shape: tuple[int, ...] = (8, 10, 8), fence: Fence | None = None) -> None:
        """Predict a case as nnU-Net's validation does."""
        module = SimpleNamespace(resample_and_save=None)
        self.stages().save_by(module)
        save = module.resample_and_save if fence is None else partial(save_atomically, fence=fence)
        logits = torch.rand(2, 4, 5, 4, generator=torch.Generator().manual_seed(ord(case)))
        low = self.plans.get_configuration(LOW)
        save(logits, shape, str(self.predicted / case), self.plans, low, PROPERTIES, DESCRIPTION, 1, self.dataset)


@pytest.fixture(params=[nnUNetDatasetBlosc2, nnUNetDatasetNumpy], ids=["blosc2", "npz"])
def fold(request: pytest.FixtureRequest, tmp_path: Path) -> Fold:
    return Fold(tmp_path, request.param)


def test_what_is_there_is_kept_and_told_of_when_all_is(fold: Fold) -> None:
    assert fold.stages().begin() == frozenset()
    fold.predict("a")
    assert fault(fold.folder, HIGH) == "were not made to their end"
    (left,) = fold.predicted.iterdir()
    (fold.predicted / f".tmp-0123456789abcdef-{left.name}").write_bytes(b"half of a")
    (fold.predicted / f".tmp-0123456789abcdef-z-{left.name}").write_bytes(b"of another fold, which writes it now")
    assert fold.stages().begin() == {"a"}
    assert sorted(path.name[:5] for path in fold.predicted.iterdir()) == [".tmp-", left.name[:5]]
    fold.predict("b")
    fold.stages().finish("nnUNetTrainer")
    assert fault(fold.folder, HIGH) == ""
    # Damaged since: made again, and nothing else.
    left.write_bytes(b"damaged")
    assert fold.stages().begin() == {"b"}
    fold.predict("a")
    fold.stages().finish("nnUNetTrainer")
    assert fault(fold.folder, HIGH) == ""


def test_nothing_of_another_checkpoint_stays(fold: Fold) -> None:
    fold.stages().begin()
    fold.predict("a")
    fold.predict("b")
    fold.stages().finish("nnUNetTrainer")
    (fold.folder / FINAL).write_bytes(b"trained on")
    assert "another checkpoint" in fault(fold.folder, HIGH)
    assert fold.stages().begin() == frozenset() and not any(fold.predicted.iterdir())
    stated = read_predictions(fold.folder)
    assert stated and not stated.files


def test_an_attempt_that_was_given_up_for_dead_writes_nothing_more(fold: Fold) -> None:
    old = fold.fence
    fold.fence = Fence(fold.folder)
    with pytest.raises(TrainerError) as caught:
        fold.predict("a", fence=old)
    assert caught.value.code == ExitCode.PREEMPTED
    assert fold.stages().begin() == frozenset() and not any(fold.predicted.iterdir())


def test_what_a_volume_cuts_short_gets_no_name(fold: Fold, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blosc2 and NumPy may report nothing."""

    def cut(*arguments: Any) -> None:
        resample_and_save(*arguments)
        (written,) = fold.predicted.glob(".tmp-*")
        truncate(written)

    monkeypatch.setattr(export_prediction, "resample_and_save", cut)
    with pytest.raises(OSError, match="No space left on device"):
        fold.predict("a")
    monkeypatch.undo()
    assert fold.stages().begin() == frozenset() and not any(fold.predicted.iterdir())


def test_what_the_next_stage_can_not_learn_from_is_refused(fold: Fold) -> None:
    fold.stages().begin()
    fold.predict("a")
    with pytest.raises(TrainerError, match="nnUNetTrainerOwn has made no prediction of b for 3d_cascade_fullres"):
        fold.stages().finish("nnUNetTrainerOwn")
    fold.predict("b", shape=(8, 8, 8))
    with pytest.raises(
        TrainerError, match=r"prediction of b .* has shape \(8, 8, 8\), .* image \(8, 10, 8\)"
    ) as caught:
        fold.stages().finish("nnUNetTrainer")
    assert caught.value.code == ExitCode.WRONG_DATA
