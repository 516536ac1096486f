"""What a fold predicts for a cascade, made by nnU-Net's own validation: whole or not there, and of one checkpoint."""

import errno
import logging
import os
import zipfile
import zlib
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

from nnunet_trainer.dataset.identity import file_hash
from nnunet_trainer.process.failures import wrong_configuration, wrong_data
from nnunet_trainer.process.files import TEMPORARY, fsync_file, fsync_folder, to_json
from nnunet_trainer.run.fence import TOKEN_DIGITS, Fence
from nnunet_trainer.run.paths import FINAL
from nnunet_trainer.scoring.stage_predictions import FOLDER, NEXT_STAGES_FILE, StagePredictions, read_predictions

log = logging.getLogger(__name__)


def _ending(dataset_class: type) -> str:
    from nnunetv2.training.dataloading.nnunet_dataset import nnUNetDatasetBlosc2

    return ".b2nd" if issubclass(dataset_class, nnUNetDatasetBlosc2) else ".npz"


def save_atomically(
    predicted: Any,
    target_shape: Sequence[int],
    output_file: str,
    plans_manager: Any,
    configuration_manager: Any,
    properties: dict[str, Any],
    dataset_json: dict[str, Any],
    num_threads: int,
    dataset_class: type,
    *,
    fence: Fence,
) -> None:
    """Take the place of nnU-Net's resample_and_save: write beside the target, flush, rename.

    Raises TrainerError with PREEMPTED instead of renaming when another attempt has taken over.
    """
    from nnunetv2.inference.export_prediction import resample_and_save

    ending = _ending(dataset_class)
    target = Path(output_file + ending)
    temporary = fence.temporary(target)
    try:
        resample_and_save(
            predicted,
            target_shape,
            str(temporary).removesuffix(ending),
            plans_manager,
            configuration_manager,
            properties,
            dataset_json,
            num_threads,
            dataset_class,
        )
        fsync_file(temporary)
        _require_whole(temporary)
    except Exception:
        # Whoever has taken over removes what this attempt was writing: no failure of the volume.
        fence.check()
        raise
    fence.check()
    temporary.replace(target)


def _require_whole(written: Path) -> None:
    """Read what was written, all of it. Raises OSError for what a full volume has cut short without a word."""
    import blosc2
    import numpy as np

    try:
        if written.suffix == ".npz":
            with np.load(written) as content:
                content["seg"]
        else:
            blosc2.open(urlpath=str(written), mode="r")[:]
    except (RuntimeError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error) as error:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(written)) from error


class NextStages:
    """The predictions of one fold for those configurations of the training that learn from them."""

    def __init__(self, trainer: Any, names: Sequence[str], cases: Sequence[str], fence: Fence) -> None:
        """`trainer` is nnU-Net's, `names` are the configurations, `cases` all that the fold validates."""
        from nnunetv2.training.dataloading.nnunet_dataset import infer_dataset_class

        self._fold = Path(trainer.output_folder)
        self._cases = list(cases)
        self._fence = fence
        self._data: dict[str, tuple[Path, Any]] = {}
        for name in names:
            identifier = trainer.plans_manager.get_configuration(name).data_identifier
            data = Path(trainer.preprocessed_dataset_folder_base, identifier)
            self._data[name] = data, infer_dataset_class(str(data))

    def begin(self) -> frozenset[str]:
        """Remove what another checkpoint has made, and what an interruption left; return the cases that are there."""
        checkpoint = file_hash(self._fold / FINAL)
        before = read_predictions(self._fold)
        if before is None or before.checkpoint != checkpoint:
            self.clear()
        else:
            self._remove_damaged(before)
        self._state(StagePredictions(checkpoint=checkpoint))
        for name in self._data:
            own = {self._file(name, case).name for case in self._cases}
            for left in self._folder(name).glob(f"{TEMPORARY}*"):
                # By the length of the token: other folds, maybe with names that end alike, write here at the same time.
                if left.name[len(TEMPORARY) + TOKEN_DIGITS + 1 :] in own:
                    left.unlink(missing_ok=True)
        return frozenset(case for case in self._cases if all(self._file(name, case).is_file() for name in self._data))

    def _remove_damaged(self, stated: StagePredictions) -> None:
        """Remove what is not as it was when all was there; what is told of nowhere has its name only as a whole."""
        for name in self._data:
            for case in self._cases:
                file = self._file(name, case)
                known = stated.files.get(name, {}).get(file.name)
                if known is not None and file.is_file() and file_hash(file) != known:
                    log.warning("the prediction of %s for %s has changed and is made again", case, name)
                    file.unlink()

    def clear(self) -> None:
        """Remove all predictions of the fold, and before them what it says of them."""
        self._fence.check()
        (self._fold / NEXT_STAGES_FILE).unlink(missing_ok=True)
        for name in self._data:
            for case in self._cases:
                self._file(name, case).unlink(missing_ok=True)

    def save_by(self, module: Any) -> None:
        """Let the nnU-Net module that calls resample_and_save by its global name call ours."""
        assert hasattr(module, "resample_and_save"), f"{module.__name__} predicts for the next stage in another way now"
        module.resample_and_save = partial(save_atomically, fence=self._fence)

    def finish(self, trainer_class: str) -> None:
        """Read all predictions as the next stage will, and say that they are there.

        Raises TrainerError with WRONG_CONFIGURATION for a trainer class that has not made them, with WRONG_DATA for a
        prediction that does not fit the data of the next stage.
        """
        files = {
            name: {self._file(name, case).name: self._checked(name, case, trainer_class) for case in self._cases}
            for name in self._data
        }
        for name in self._data:
            fsync_folder(self._folder(name))
        self._state(StagePredictions(checkpoint=file_hash(self._fold / FINAL), files=files))
        log.info("%d cases are predicted for %s", len(self._cases), ", ".join(self._data))

    def _checked(self, name: str, case: str, trainer_class: str) -> str:
        """Return the hash of a prediction that fits the next stage's data."""
        file = self._file(name, case)
        if not file.is_file():
            raise wrong_configuration(
                f"trainer class {trainer_class} has made no prediction of {case} for {name}, which learns from it: let "
                "it leave perform_actual_validation to nnUNetTrainer, or train without that cascade"
            )
        data, dataset_class = self._data[name]
        image, _, predicted, _ = dataset_class(str(data), [case], str(file.parent)).load_case(case)
        if tuple(predicted.shape) != tuple(image.shape[1:]):
            raise wrong_data(
                f"the prediction of {case} for {name} has shape {tuple(predicted.shape)}, and its preprocessed image "
                f"{tuple(image.shape[1:])}: was the preprocessed data changed? Suspend and resume the training"
            )
        return file_hash(file)

    def _state(self, content: StagePredictions) -> None:
        self._fence.write(self._fold / NEXT_STAGES_FILE, to_json(content.to_json_dict()))

    def _folder(self, name: str) -> Path:
        return self._fold.parent / FOLDER / name

    def _file(self, name: str, case: str) -> Path:
        return self._folder(name) / f"{case}{_ending(self._data[name][1])}"
