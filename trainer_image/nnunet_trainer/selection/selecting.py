"""Among which predictions is chosen, and what becomes of their probabilities once that is done."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from nnunet_api.contract import SELECTION_FILE, PlanFacts, RunContract
from nnunet_api.dataset.layout import named
from nnunet_api.exit_codes import ExitCode
from nnunet_trainer.dataset.identity import file_hash
from nnunet_trainer.process.failures import TrainerError
from nnunet_trainer.process.files import to_json
from nnunet_trainer.run.paths import VALIDATION_FOLDER, VALIDATION_SUMMARY, RunPaths
from nnunet_trainer.scoring.predictions import whole_ones
from nnunet_trainer.scoring.probabilities import PROBABILITIES, PROPERTIES, remove_probabilities, whole_probabilities
from nnunet_trainer.scoring.scores import class_names
from nnunet_trainer.selection.choosing import Choice, choose, forget_choice, forget_steps
from nnunet_trainer.selection.record import (
    SelectionRecord,
    is_possible,
    keeps_probabilities,
    made_from,
    read_record,
    require_same_cases,
    require_selectable,
)

log = logging.getLogger(__name__)


def select(
    contract: RunContract,
    paths: RunPaths,
    plan: PlanFacts,
    labels: Mapping[str, Any],
    checkpoints: Mapping[str, str],
    validation: Mapping[str, Sequence[str]],
    ending: str,
    require_labels: Callable[[], None],
) -> SelectionRecord:
    """Return the choice among the configurations; once it is made from these final checkpoints, it is not made again.

    `checkpoints` has the SHA-256 of each, `validation` the cases of each fold, by the name of the fold run.
    `ending` is that of segmentations. `require_labels` raises an error where the labels to score against are gone: it
    is called only where there is a choice to be made. Once it is made the probabilities are removed.
    """
    require_selectable(contract, plan.plans_name, None)
    require_same_cases(
        contract,
        {
            one.configuration: [case for key in one.fold_keys_of(1) for case in validation[key.name]]
            for one in contract.by_configuration
        },
    )
    folders = {name: folder / VALIDATION_FOLDER for name, folder in paths.folds(contract, plan.plans_name).items()}
    record = read_record(paths.run)
    classes = class_names(labels).values()
    if not (record and made_from(record, contract, checkpoints) and is_possible(record, contract, classes)):
        if record:
            # As long as a fold is named by it, that fold takes its probabilities for needed no more.
            forget_choice(paths)
        require_labels()
        for name, folder in folders.items():
            _tidy(name, folder, validation[name], ending)
        if keeps_probabilities(contract):
            _require_probabilities(folders, validation)
        summaries = {name: file_hash(folder / VALIDATION_SUMMARY.name) for name, folder in folders.items()}
        record = choose(Choice(contract, paths, plan, labels, checkpoints, summaries))
        paths.write(paths.run / SELECTION_FILE, to_json(record.to_json_dict()))
    paths.check_fence()
    forget_steps(paths)
    if freed := remove_probabilities(folders.values()):
        log.info("the choice is made: removed %.1f MiB of probabilities", freed / 2**20)
    return record


def _tidy(fold: str, folder: Path, cases: Collection[str], ending: str) -> None:
    """Leave whole segmentations and probabilities of the fold's cases: nnU-Net would take any file for one.

    Raises TrainerError with CHECKPOINT_UNUSABLE where the segmentation of a case is not there: then the fold counts as
    not validated, and predicts it again.
    """
    found = whole_ones(folder, ending)
    for kind in (ending, PROBABILITIES, PROPERTIES):
        for path in folder.glob(f"*{kind}"):
            if path.name.removesuffix(kind) not in cases:
                log.warning("removing %s of fold %s: it is of none of its validation cases", path.name, fold)
                path.unlink(missing_ok=True)
    if lacking := set(cases) - found:
        (folder / VALIDATION_SUMMARY.name).unlink(missing_ok=True)
        raise TrainerError(
            ExitCode.CHECKPOINT_UNUSABLE,
            f"fold {fold} has no whole prediction of {named(lacking)}. Suspend and resume the training: the fold "
            "predicts these cases again",
        )


def _require_probabilities(folders: Mapping[str, Path], validation: Mapping[str, Sequence[str]]) -> None:
    """Raise TrainerError with CHECKPOINT_UNUSABLE where those of a case are not there: its fold predicts it again."""
    for name, folder in folders.items():
        if lacking := set(validation[name]) - whole_probabilities(folder):
            raise TrainerError(
                ExitCode.CHECKPOINT_UNUSABLE,
                f"fold {name} has no probabilities of {named(lacking)}, of which pairs of configurations are made. "
                "Suspend and resume the training: the fold predicts these cases again",
            )
