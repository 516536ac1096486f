"""The mean of several networks' probabilities of a case, by nnU-Net's function, of files that nobody vouches for."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import temporary_path
from nnunet_trainer.scoring.predictions import put_in_place
from nnunet_trainer.scoring.probabilities import DAMAGED, PROBABILITIES, is_readable, shape_of


def merge_checked(
    list_of_files: list[str],
    output_filename_truncated: str,
    output_file_ending: str,
    image_reader_writer: Any,
    label_manager: Any,
    save_probabilities: bool = False,
) -> None:
    """Take the place of nnU-Net's merge_files: the same mean, written beside the target, flushed and renamed.

    Where the segmentation goes is read from one that is there already, and not from the pickle beside. Raises
    TrainerError with CHECKPOINT_UNUSABLE for probabilities that are not those of that segmentation, damaged, or no
    numbers; they are removed.
    """
    from nnunetv2.ensembling import ensemble

    assert not save_probabilities, "nobody keeps the mean"
    segmentation, properties = image_reader_writer.read_seg(
        list_of_files[0].removesuffix(PROBABILITIES) + output_file_ending
    )
    _require_shape(list_of_files, (label_manager.num_segmentation_heads, *segmentation.shape[1:]))
    nnunets_mean = ensemble.average_probabilities

    def mean(files: list[str]) -> Any:
        return mean_of_damageable(nnunets_mean, files)

    target = Path(output_filename_truncated)
    temporary = temporary_path(target)
    before = ensemble.average_probabilities, ensemble.load_pickle
    ensemble.average_probabilities, ensemble.load_pickle = mean, lambda _: properties
    try:
        # In a worker, and where the test set is merged, this is nnU-Net's own.
        assert ensemble.merge_files is not merge_checked
        ensemble.merge_files(list_of_files, str(temporary), output_file_ending, image_reader_writer, label_manager)
    finally:
        ensemble.average_probabilities, ensemble.load_pickle = before
    put_in_place(temporary, target, [output_file_ending])


def mean_of_damageable(mean: Callable[[list[str]], Any], files: list[str]) -> Any:
    """Return the mean of the probabilities in these files.

    Raises TrainerError with CHECKPOINT_UNUSABLE where one can't be read, or holds what is no number.
    """
    try:
        found = mean(files)
    except DAMAGED as error:
        damaged = [path for path in map(Path, files) if not is_readable(path)]
        if not damaged:
            raise
        raise _unusable(damaged[0], f"can't be read ({error!r})") from error
    if not _is_finite(found):
        wrong = [path for path in files if not _is_finite(mean([path]))]
        raise _unusable(Path((wrong or files)[0]), "are no finite numbers")
    return found


def _is_finite(numbers: Any) -> bool:
    # Part by part: a mask of all of it would take as much memory again as a quarter of the probabilities.
    return all(bool(np.isfinite(part).all()) for part in numbers)


def _require_shape(files: Sequence[str], wanted: tuple[int, ...]) -> None:
    for path in map(Path, files):
        try:
            found = shape_of(path)
        except ValueError as error:
            raise _unusable(path, f"can't be read ({error})") from error
        if found != wanted:
            raise _unusable(path, f"have shape {found}, and the segmentation beside asks for {wanted}")


def _unusable(path: Path, why: str) -> TrainerError:
    """Remove the file, so that its case is predicted again, by a fold or by the evaluation, and return the error."""
    path.unlink(missing_ok=True)
    return TrainerError(
        ExitCode.CHECKPOINT_UNUSABLE,
        f"the probabilities in {path} {why}. The file was removed: suspend and resume the training, which predicts the "
        "case again",
    )
