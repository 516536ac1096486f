"""What a fold has predicted for a cascade: which checkpoint made it, and that it is whole. No torch in here.

nnU-Net keeps the predictions of all folds for a next stage in one folder, without a word on who made them. So each fold
says beside its checkpoint which predictions are its own, with their hashes and that of the checkpoint: it is complete
only with that, and what learns from them begins only where all folds' files are those.
"""

from collections.abc import Mapping
from pathlib import Path

from nnunet_api.base import StatusModel
from nnunet_api.contract import PlanFacts, RunContract
from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.dataset.identity import file_hash, named_hash
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import read_text
from nnunet_trainer.run.paths import FINAL, RunPaths

NEXT_STAGES_FILE = "next_stages.json"
"""In a fold's folder: `StagePredictions`."""
FOLDER = "predicted_next_stage"
"""In the model folder, as nnU-Net calls it: a folder for each next stage."""


class StagePredictions(StatusModel):
    """The predictions of a fold for its next stages."""

    checkpoint: str
    """SHA-256 of the final checkpoint that makes them."""
    files: dict[str, dict[str, str]] = {}
    """By configuration: the SHA-256 of each file, by its name. Nothing of one that is not complete."""


def read_predictions(fold: Path) -> StagePredictions | None:
    """Return what a fold's folder says of its predictions; None where that is nothing."""
    try:
        return StagePredictions.model_validate_json(read_text(fold / NEXT_STAGES_FILE))
    except (FileNotFoundError, ValueError):
        return None


def fault(fold: Path, configuration: str) -> str:
    """Return why the predictions of a fold for a configuration can't be used, as the end of a sentence; empty if not.

    All is hashed: the final checkpoint, which takes a second for 250 MB, and the predictions.
    """
    stated = read_predictions(fold)
    if stated is None or configuration not in stated.files:
        return "were not made to their end"
    try:
        if file_hash(fold / FINAL) != stated.checkpoint:
            return f"were made by another checkpoint than its {FINAL}"
        for name, known in stated.files[configuration].items():
            if file_hash(fold.parent / FOLDER / configuration / name) != known:
                return f"are not as they were made: {name} has changed"
    except FileNotFoundError as error:
        return f"are not all there: {Path(str(error.filename)).name} is missing"
    return ""


def require_previous_stage(contract: RunContract, paths: RunPaths, plan: PlanFacts, replicate: int) -> str | None:
    """Return a hash of the checkpoints on whose predictions the one at hand learns; None where it is no cascade.

    Raises TrainerError with CHECKPOINT_UNUSABLE where a fold's predictions are not there, or not those of its final
    checkpoint: whoever suspends and resumes the training has the fold make them again.
    """
    if contract.previous_stage is None:
        return None
    for name, fold in _previous_folds(contract, paths, plan.plans_name, replicate).items():
        if why := fault(fold, contract.configuration):
            raise TrainerError(
                ExitCode.CHECKPOINT_UNUSABLE,
                f"the predictions of fold {name} for {contract.configuration} {why}. Suspend and resume the training: "
                "they are made again",
            )
    return learnt_from(contract, paths, plan.plans_name, replicate)


def learnt_from(contract: RunContract, paths: RunPaths, plans_name: str, replicate: int) -> str | None:
    """Return the hash of the checkpoints whose predictions there are; None where a fold of the stage says of none.

    Not of the predictions: made once more by the same checkpoint on a GPU, they may differ in single voxels.
    """
    found = {}
    for name, fold in _previous_folds(contract, paths, plans_name, replicate).items():
        stated = read_predictions(fold)
        if stated is None or contract.configuration not in stated.files:
            return None
        found[name] = stated.checkpoint
    return named_hash(found)


def doubts(
    contract: RunContract,
    paths: RunPaths,
    plans_name: str,
    checkpoints: Mapping[str, str],
    learnt: Mapping[str, str | None],
) -> dict[str, str]:
    """Return what is wrong with the folds of cascades, by the name of the fold run.

    `checkpoints` has the SHA-256 of each final checkpoint, and `learnt` what that of a cascade says it learnt from.
    """
    found: dict[str, str] = {}
    for one in contract.by_configuration:
        if one.previous_stage is None:
            continue
        for replicate in range(1, contract.replicates + 1):
            keys = [key.name for key in one.fold_keys_of(replicate) if key.name in learnt]
            if why := _not_of(checkpoints, _previous_folds(one, paths, plans_name, replicate)):
                found |= dict.fromkeys(keys, f"nothing is proven: {why}")
                continue
            there = learnt_from(one, paths, plans_name, replicate)
            why = (
                f"nothing is proven: it was trained on predictions of other checkpoints of {one.previous_stage} than "
                "there are now"
            )
            found |= {name: why for name in keys if there is None or learnt[name] != there}
    return found


def _not_of(checkpoints: Mapping[str, str], folds: Mapping[str, Path]) -> str:
    """Return which of these folds made its predictions with another checkpoint than its final one; empty if none."""
    for name, fold in folds.items():
        stated = read_predictions(fold)
        if stated is None or stated.checkpoint != checkpoints.get(name):
            return f"the predictions of fold {name}, on which it learns, are not of that one's {FINAL}"
    return ""


def _previous_folds(contract: RunContract, paths: RunPaths, plans_name: str, replicate: int) -> dict[str, Path]:
    """Return the folders of the folds that the configuration at hand learns from, by the names of their runs."""
    assert contract.previous_stage is not None
    before = contract.of_configuration(contract.previous_stage)
    return {key.name: paths.fold(before, plans_name, key.fold, replicate) for key in before.fold_keys_of(replicate)}
