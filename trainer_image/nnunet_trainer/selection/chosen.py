"""Predictions of the test set by what was chosen among the configurations: once, after the choice, and their scores.

What is scored is in one folder. What leads to it, predictions of single configurations and their probabilities, lies in
another as long as it is needed.
"""

import hashlib
import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from nnunet_api.contract import RunContract
from nnunet_trainer.dataset.checked_plans import read_checked_plans
from nnunet_trainer.dataset.identity import prediction_inputs
from nnunet_trainer.process.files import read_json, temporary_path
from nnunet_trainer.scoring import surface
from nnunet_trainer.scoring.ensemble import (
    MIRROR_AXES,
    PREDICTIONS,
    TEST_SUMMARIES,
    Cases,
    Ensemble,
    HeldOut,
    Made,
    inference_by,
    measurement_by,
    predict,
    score_ensemble,
    score_predictions,
)
from nnunet_trainer.scoring.predicting import geometry
from nnunet_trainer.scoring.predictions import fresh_ones, put_in_place
from nnunet_trainer.scoring.probabilities import PROBABILITIES, PROPERTIES, whole_probabilities
from nnunet_trainer.scoring.scores import EnsembleScores, class_names
from nnunet_trainer.selection.merging import merge_checked
from nnunet_trainer.selection.record import ALL_FOREGROUND
from nnunet_trainer.selection.room import needed_bytes, require_room

log = logging.getLogger(__name__)

MEMBERS = "_by_configuration"
"""End of the name of the folder with what leads to predictions: one folder for each configuration, one of the means."""
_MEANS = ".means"


def postprocessing_words(postprocessing: Sequence[str]) -> str:
    """Return what is done with predictions, as it is stated with the conditions."""
    return f"largest component of {', then of '.join(postprocessing)}" if postprocessing else "none"


@dataclass(frozen=True)
class _Network:
    """What is known of an ensemble of folds once it has predicted."""

    what: surface.Measurement
    inference: Mapping[str, Any]
    workers: int | None
    label_manager: Any


def score_chosen(
    contract: RunContract, members: Sequence[Ensemble], postprocessing: Sequence[str], test_set: HeldOut
) -> EnsembleScores:
    """Predict the test cases by one ensemble of folds, or by the mean of two, and return the scores.

    `postprocessing` is that of a `SelectionRecord`. Predictions that are there, from the same inputs, are kept.
    """
    first = members[0]
    predictions = first.results / PREDICTIONS[first.checkpoint]
    if len(members) == 1 and not postprocessing:
        # Of an attempt before, that something else was chosen for.
        shutil.rmtree(predictions.with_name(f"{predictions.name}{MEMBERS}"), ignore_errors=True)
        return score_ensemble(contract, first, test_set)
    made = predict_chosen(
        contract,
        members,
        postprocessing,
        test_set,
        predictions,
        ("the test cases by two configurations", "create the training with selection.ensembles: false"),
    )
    return score_predictions(contract, predictions, first.results / TEST_SUMMARIES[first.checkpoint], test_set, made)


def predict_chosen(
    contract: RunContract,
    members: Sequence[Ensemble],
    postprocessing: Sequence[str],
    cases: Cases,
    predictions: Path,
    room: tuple[str, str],
) -> Made:
    """Let a folder hold what the mean of these ensembles predicts of the cases, postprocessed; return how it was made.

    What leads to it lies in a folder beside until then. `room` says of which probabilities there may be too many, and
    what to do then.
    """
    folder = predictions.with_name(f"{predictions.name}{MEMBERS}")
    missing = _missing(contract, members, postprocessing, cases, predictions)
    folders = [folder / member.model.name for member in members]
    voxels, heads = _sizes(members[0], cases)
    if missing and len(members) > 1:
        _require_room({case: voxels[case] for case in missing}, heads, folders, room)
    networks = []
    for member, own in zip(members, folders, strict=True):
        images = {case: cases.images[case] for case in missing}
        # The networks of one are gone before those of the next are loaded.
        networks.append(_predict(contract, member, images, cases.ending, own, probabilities=len(members) > 1))
    for case in missing:
        if members[0].fence:
            members[0].fence.check()
        _finish(case, folders, predictions, cases.ending, networks[0], postprocessing)
    shutil.rmtree(folder)
    workers = [one.workers for one in networks if one.workers is not None]
    inference = {**networks[0].inference, "postprocessing": postprocessing_words(postprocessing)}
    if len(members) > 1:
        inference["meanOf"] = [member.model.name for member in members]
        inference[MIRROR_AXES] = [one.inference[MIRROR_AXES] for one in networks]
    return Made(networks[0].what, inference, list(voxels.values()), min(workers, default=None), members[0].fence)


def _missing(
    contract: RunContract,
    members: Sequence[Ensemble],
    postprocessing: Sequence[str],
    cases: Cases,
    predictions: Path,
) -> list[str]:
    """Return the cases that are not there, from the same images and checkpoints and with the same postprocessing."""
    checkpoints = [path for member in members for path in member.all_checkpoints]
    names = [member.model.name for member in members]
    how = f"{names} {postprocessing_words(postprocessing)}"
    inputs = {
        case: hashlib.sha256(f"{digest} {how}".encode()).hexdigest()
        for case, digest in prediction_inputs(cases.images, checkpoints, contract.processes).items()
    }
    predictions.mkdir(parents=True, exist_ok=True)
    return sorted(set(cases.images) - fresh_ones(predictions, cases.ending, inputs, members[0].fence))


def _sizes(member: Ensemble, cases: Cases) -> tuple[dict[str, int], int]:
    """Return the voxels of each case, and the number of classes or regions of which there are probabilities."""
    from nnunetv2.utilities.plans_handling.plans_handler import PlansManager

    plans = PlansManager(read_checked_plans(member.model / "plans.json"))
    reader = plans.image_reader_writer_class()
    voxels = {name: prod(geometry(reader, paths[0])[0]) for name, paths in cases.images.items()}
    return voxels, int(plans.get_label_manager(read_json(member.model / "dataset.json")).num_segmentation_heads)


def _require_room(voxels: Mapping[str, int], heads: int, folders: Sequence[Path], words: tuple[str, str]) -> None:
    """Look for the room of probabilities of these cases, by each network, that are not there yet."""
    least = most = 0
    for folder in folders:
        lacking = voxels.keys() - whole_probabilities(folder)
        bounds = needed_bytes([voxels[case] for case in lacking], [len(lacking)], heads)
        least, most = least + bounds[0], most + bounds[1]
    what, remedy = words
    home = folders[0].parent.parent
    if note := require_room(least, most, home, what, f"without room for them, {remedy}"):
        log.warning("%s", note)


def _predict(
    contract: RunContract,
    member: Ensemble,
    images: Mapping[str, Sequence[Path]],
    ending: str,
    folder: Path,
    probabilities: bool,
) -> _Network:
    """Let a folder hold the predictions of these cases by one ensemble."""
    predicted = predict(contract, member, images, ending, folder, probabilities)
    predictor = predicted.predictor
    return _Network(
        measurement_by(contract, predictor),
        inference_by(predictor, member),
        predicted.workers,
        predictor.label_manager,
    )


def _finish(
    case: str,
    folders: Sequence[Path],
    predictions: Path,
    ending: str,
    network: _Network,
    postprocessing: Sequence[str],
) -> None:
    """Average what the configurations predict of a case, postprocess it, and put it where it is scored.

    Its probabilities are removed: they are needed no more.
    """
    from nnunetv2.postprocessing.remove_connected_components import load_postprocess_save

    source = folders[0] / f"{case}{ending}"
    if len(folders) > 1:
        target = predictions if not postprocessing else predictions.with_name(f"{predictions.name}{MEMBERS}") / _MEANS
        target.mkdir(exist_ok=True)
        merge_checked(
            [str(folder / f"{case}{PROBABILITIES}") for folder in folders],
            str(target / case),
            ending,
            network.what.reader,
            network.label_manager,
        )
        source = target / f"{case}{ending}"
    if postprocessing:
        functions, settings = postprocessing_of(postprocessing, network.label_manager)
        temporary = temporary_path(predictions / case)
        load_postprocess_save(str(source), f"{temporary}{ending}", network.what.reader, functions, settings)
        put_in_place(temporary, predictions / case, [ending])
    for folder in folders:
        for kind in (PROBABILITIES, PROPERTIES):
            (folder / f"{case}{kind}").unlink(missing_ok=True)


def postprocessing_of(names: Sequence[str], label_manager: Any) -> tuple[list[Any], list[dict[str, Any]]]:
    """Return nnU-Net's functions for a postprocessing, and their arguments."""
    from nnunetv2.postprocessing.remove_connected_components import remove_all_but_largest_component_from_segmentation

    regions = label_manager.foreground_regions if label_manager.has_regions else label_manager.foreground_labels
    by_name = {name: key for key, name in class_names(label_manager.label_dict).items()}
    by_key = {str(region): region for region in regions}
    of = [label_manager.foreground_labels if name == ALL_FOREGROUND else by_key[by_name[name]] for name in names]
    return [remove_all_but_largest_component_from_segmentation] * len(of), [{"labels_or_regions": one} for one in of]
