"""`nnunet-trainer history FOLDER`: what the newest checkpoint of each fold in a run's folder has logged.

Lines of JSON on the standard output, for `kubectl nnunet curves`: a fold in each, with its values or its problem.
Needs no contract and no torch, and runs nothing of what a checkpoint brings along: the whole results claim is in reach.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nnunet_api.contract import PLAN_RESULT_FILE, PlanFacts
from nnunet_api.fold_key import FoldKey, replicate_folder
from nnunet_trainer.process.failures import one_line
from nnunet_trainer.process.files import read_json
from nnunet_trainer.run.plain import load_plain
from nnunet_trainer.training.checkpoints import readable_checkpoints
from nnunet_trainer.training.history import read_history

_REPLICATES = replicate_folder(1).removesuffix("1")


def print_history(run: Path) -> None:
    """Print a line for each fold. Raises NotADirectoryError where there is no such folder."""
    if not run.is_dir():
        raise NotADirectoryError(f"{run} is no folder")
    for line in lines(run):
        # NaN stands as such, for Python's JSON at the other end: a gap in a curve must not move its other values.
        sys.stdout.write(json.dumps(line) + "\n")
    sys.stdout.flush()


def lines(run: Path) -> Iterator[dict[str, Any]]:
    """Yield what the folds have logged, in the order of their folders; nothing of one without a checkpoint."""
    several = has_several(run)
    for folder in sorted([*run.glob("*/*/fold_*"), *run.glob(f"{_REPLICATES}*/*/*/fold_*")]):
        fold = name_of(folder, several)
        try:
            if not folder.resolve().is_relative_to(run.resolve()):
                raise ValueError("its folder is a link out of the run: put what it leads to in its place")
            if logged := _logged(folder):
                yield {"fold": fold, **logged}
        except Exception as error:  # whatever is in one fold's checkpoints, the others' curves are drawn
            yield {"fold": fold, "problem": one_line(str(error))[:1000]}


def _logged(folder: Path) -> dict[str, Any]:
    """Return what the newest checkpoint of a fold has logged; nothing where there is none."""
    found, _ = readable_checkpoints(folder, load_plain)
    return {"epoch": found[0].epoch, **vars(read_history(found[0].path))} if found else {}


def name_of(folder: Path, several: bool = False) -> str:
    """Return the name of the fold run that a folder is of; `several` where the run has several configurations."""
    fold, above = folder.name.removeprefix("fold_"), folder.parents[2].name
    replicate = above.removeprefix(_REPLICATES) if above.startswith(_REPLICATES) else ""
    number = int(replicate) if replicate.isdecimal() else None
    return FoldKey(configuration_of(folder.parent), fold, number, of_several=several).name


def configuration_of(model: Path) -> str:
    """Return the configuration that a model folder is of, which nnU-Net calls TRAINER__PLANS__CONFIGURATION."""
    return model.name.split("__", 2)[-1]


def has_several(run: Path) -> bool:
    """Tell whether a run has several configurations: by the model folders that planning makes for all of them.

    It leaves none for those that it leaves out, and says so in plan.json.
    """
    found = {configuration_of(folder) for folder in (*run.glob("*/*__*__*"), *run.glob(f"{_REPLICATES}*/*/*__*__*"))}
    try:
        left_out = PlanFacts.model_validate(read_json(run / PLAN_RESULT_FILE)).left_out_configurations
    except (OSError, ValueError):
        left_out = None
    return len(found | set(left_out or ())) > 1
