"""A choice among configurations, beside that of nnU-Net's own command on a copy of the result folder."""

import hashlib
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import blosc2
import nibabel
import numpy as np

from nnunet_trainer.dataset.identity import file_hash
from nnunet_trainer.process.files import read_json
from tests.trainer.theirs import run_code
from tests.trainer.world import World

WHOLE = "crossval_results_folds_0_1"
FOLDS = ("0", "1")


def train(world: World) -> None:
    """Train all folds of all configurations, and verify them."""
    for name in world.contract.configuration_names:
        option = ["--configuration", name] if world.contract.has_several else []
        for fold in FOLDS:
            ended = world.finish("train", "--fold", fold, *option)
            assert ended.code == 0, ended.log
    verified = world.finish("verify")
    assert verified.code == 0, verified.log


def find_best_by_hand(world: World, results: Path) -> Path:
    """Let a folder be the result folder after nnUNetv2_find_best_configuration, and return it."""
    shutil.copytree(world.run, results)
    entry = "from nnunetv2.evaluation.find_best_configuration import find_best_configuration_entry_point as p; p()"
    names = world.contract.configuration_names
    run_code(world, results, entry, world.contract.dataset, "-c", *names, "-f", *FOLDS, "-np", "1")
    return results


def preprocessed(world: World) -> dict[str, str]:
    """Return hashes of what folds train on, by path. Blosc2 compresses with threads: no two of its files are alike."""
    (home,) = world.root.glob(f"nnunet/preprocessed/Dataset*[0-9a-f]/{world.contract.dataset}")
    return {str(path.relative_to(home)): content_hash(path) for path in home.rglob("*") if path.is_file()}


def content_hash(path: Path) -> str:
    """Return a hash of a file, or of the array in it."""
    if path.suffix != ".b2nd":
        return file_hash(path)
    return hashlib.sha256(blosc2.open(str(path))[:].tobytes()).hexdigest()


def files_of_the_choice(home: Path) -> set[str]:
    """Return what the choice has left beside and in the model folders."""
    found = [*home.glob("*.*"), *home.glob("ensembles/**/*"), *home.glob(f"*/{WHOLE}/**/*")]
    return {str(path.relative_to(home)) for path in found if path.is_file()}


def require_same_choice(world: World, by_hand: Path) -> set[str]:
    """Fail unless files, numbers and choice of an evaluation are those of the command; return the files' names."""
    ours, theirs = world.run / world.contract.dataset, by_hand / world.contract.dataset
    files = files_of_the_choice(theirs)
    assert files_of_the_choice(ours) == files
    for name in sorted(files):
        if name.endswith(".json"):
            assert without_paths(read_json(ours / name), world.run) == without_paths(
                read_json(theirs / name), by_hand
            ), name
        elif name.endswith(".nii.gz"):
            first, second = nibabel.load(ours / name), nibabel.load(theirs / name)
            assert np.array_equal(np.asarray(first.dataobj), np.asarray(second.dataobj)), name
            assert np.array_equal(first.affine, second.affine), name
        elif name.endswith(".txt"):
            first_text, second_text = (ours / name).read_text(), (theirs / name).read_text()
            assert first_text.replace(str(world.run), "") == second_text.replace(str(by_hand), "")
        else:
            assert (ours / name).read_bytes() == (theirs / name).read_bytes(), name
    best, record = read_json(theirs / "inference_information.json"), read_json(world.run / "selection.json")
    names = [one["configuration"] for one in best["best_model_or_ensemble"]["selected_model_or_models"]]
    assert [one["configuration"] for one in record["chosen"]] == names
    assert record["meanValidationDice"] == best["best_model_or_ensemble"]["result_on_crossval_pre_pp"]
    assert record["postprocessedValidationDice"] == best["best_model_or_ensemble"]["result_on_crossval_post_pp"]
    means = {nnunets_name(one["configurations"]): one["meanValidationDice"] for one in record["candidates"]}
    assert means == best["all_results"]
    return files


def nnunets_name(candidate: Sequence[str]) -> str:
    """Return what nnU-Net calls a configuration or a pair."""
    models = [f"nnUNetTrainer__nnUNetPlans__{name}" for name in candidate]
    return models[0] if len(models) == 1 else "___".join(["ensemble", *models, "_".join(FOLDS)])


def without_paths(content: Any, root: Path) -> Any:
    """Return JSON without the names of files, which lie elsewhere."""
    if isinstance(content, dict):
        return {key: without_paths(value, root) for key, value in content.items() if not key.endswith("_file")} | {
            key: content[key].replace(str(root), "")
            for key in ("postprocessing_file", "some_plans_file")
            if key in content
        }
    if isinstance(content, list):
        return [without_paths(one, root) for one in content]
    return content
