"""Predictions of the test set by the ensemble of a replicate's folds, and their scores."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from nnunet_api.contract import RunContract
from nnunet_api.dataset.layout import named
from nnunet_api.exit_codes import ExitCode
from nnunet_api.training import Device
from nnunet_trainer.dataset.checked_plans import read_checked_plans
from nnunet_trainer.dataset.identity import prediction_inputs
from nnunet_trainer.dataset.raw import Case
from nnunet_trainer.process.failures import TrainerError, is_missing_or_damaged
from nnunet_trainer.process.files import read_json, temporary_path
from nnunet_trainer.process.gpu import require_gpu
from nnunet_trainer.process.heartbeat import heartbeat
from nnunet_trainer.process.memory import memory_limit
from nnunet_trainer.run import environment
from nnunet_trainer.run.fence import Fence
from nnunet_trainer.run.paths import BEST, FINAL, RunPaths
from nnunet_trainer.scoring import scores, surface
from nnunet_trainer.scoring.predicting import extents_of, predict_cases
from nnunet_trainer.scoring.prediction_memory import Extent, fitting_scorers
from nnunet_trainer.scoring.predictions import fence_notes, fresh_ones, make_exports_atomic, pass_over_unfinished
from nnunet_trainer.scoring.probabilities import whole_probabilities

log = logging.getLogger(__name__)

PREDICTIONS = {FINAL: "predictions_test", BEST: "predictions_test_best"}
"""Folder of the predictions, for each checkpoint."""
PREVIOUS_STAGE = "_previous_stage"
"""End of the name of the folder beside, with the predictions of a cascade's previous stage."""
TEST_SUMMARIES = {FINAL: "test_summary.json", BEST: "test_summary_best.json"}
"""nnU-Net's own summary of them."""
MIRROR_AXES = "mirrorAxes"
"""Key of the axes along which copies are mirrored and predicted, too."""


class Cases(Protocol):
    """Cases to predict."""

    @property
    def images(self) -> Mapping[str, Sequence[Path]]:
        """The channels of each case by its name."""

    @property
    def ending(self) -> str:
        """Ending of all files."""


@dataclass(frozen=True)
class HeldOut:
    """The test set."""

    cases: dict[str, Case]
    ending: str
    """Ending of its files, for example .nii.gz."""

    @property
    def images(self) -> dict[str, tuple[Path, ...]]:
        """The channels of each case by its name."""
        return {name: tuple(case.images) for name, case in self.cases.items()}


@dataclass(frozen=True)
class Ensemble:
    """The networks of a replicate's folds, by one of their checkpoints."""

    model: Path
    """Model folder."""
    folds: tuple[str, ...]
    checkpoint: str
    """Name of the checkpoints' files."""
    results: Path
    """Where predictions and nnU-Net's summary go."""
    proven: Mapping[Path, str] = field(default_factory=dict)
    """Hashes of those of its checkpoints that were verified."""
    fence: Fence | None = None
    """The right to write there, for who has to hold it."""
    previous: "Ensemble | None" = None
    """Of a cascade: the ensemble of its previous stage, whose segmentations it gets beside the images."""

    @property
    def checkpoints(self) -> list[Path]:
        """The checkpoint of each fold."""
        return [self.model / f"fold_{fold}" / self.checkpoint for fold in self.folds]

    @property
    def all_checkpoints(self) -> list[Path]:
        """The same, and in a cascade those of the stages before."""
        return self.checkpoints + (self.previous.all_checkpoints if self.previous else [])


def ensemble_of(
    contract: RunContract,
    paths: RunPaths,
    plans_name: str,
    replicate: int,
    checkpoint: str,
    proven: Mapping[Path, str],
) -> Ensemble:
    """Return the ensemble of a replicate (1 = first) of the configuration at hand, in a cascade with those before it.

    A previous stage predicts by its final checkpoints, whatever the checkpoint: from those the cascade has learnt.
    """
    stage = contract.previous_stage
    before = contract.of_configuration(stage) if stage else None
    return Ensemble(
        model=paths.model(contract, plans_name, replicate),
        folds=tuple(contract.folds),
        checkpoint=checkpoint,
        results=paths.results_of(contract, replicate),
        proven=proven,
        fence=paths.fence,
        previous=ensemble_of(before, paths, plans_name, replicate, FINAL, proven) if before else None,
    )


def description_of(model: Path, matter: str, remedy: str) -> dict[str, Any]:
    """Return dataset.json of a model folder.

    Raises TrainerError with CHECKPOINT_UNUSABLE, in these words, where it is missing or damaged.
    """
    try:
        content: dict[str, Any] = read_json(model / "dataset.json")
    except (OSError, ValueError) as error:
        if not is_missing_or_damaged(error):
            raise
        raise TrainerError(ExitCode.CHECKPOINT_UNUSABLE, f"{matter}: {error}. {remedy}") from error
    return content


def score_ensemble(contract: RunContract, ensemble: Ensemble, test_set: HeldOut) -> scores.EnsembleScores:
    """Predict the test cases and return the scores. Predictions that are there, from the same inputs, are kept."""
    predictions = ensemble.results / PREDICTIONS[ensemble.checkpoint]
    predicted = predict(contract, ensemble, test_set.images, test_set.ending, predictions)
    made = Made(
        measurement_by(contract, predicted.predictor),
        inference_by(predicted.predictor, ensemble),
        [one.voxels for one in predicted.extents.values()],
        predicted.workers,
        ensemble.fence,
    )
    # The networks' memory is the measurement's now.
    del predicted
    summary = ensemble.results / TEST_SUMMARIES[ensemble.checkpoint]
    return score_predictions(contract, predictions, summary, test_set, made)


@dataclass(frozen=True)
class Made:
    """What is known of predictions that are to be scored."""

    what: surface.Measurement
    inference: Mapping[str, Any]
    """How was predicted."""
    voxels: Sequence[int]
    """Of each case."""
    workers: int | None
    """How many workers predicted; None where nothing was missing."""
    fence: Fence | None = None
    """The right to write beside them."""


def measurement_by(contract: RunContract, predictor: Any) -> surface.Measurement:
    """Return what is measured in predictions of nnU-Net's predictor."""
    manager = predictor.label_manager
    return surface.Measurement(
        reader=predictor.plans_manager.image_reader_writer_class(),
        regions=tuple(manager.foreground_regions if manager.has_regions else manager.foreground_labels),
        ignore_label=manager.ignore_label,
        tolerance=contract.evaluation.surface_tolerance_mm,
    )


def score_predictions(
    contract: RunContract, predictions: Path, summary: Path, test_set: HeldOut, made: Made
) -> scores.EnsembleScores:
    """Return the scores of the segmentations in a folder; nnU-Net's own summary of them is kept."""
    cases, ending, what = test_set.cases, test_set.ending, made.what
    scorers = fitting_scorers(made.voxels, min(contract.processes, len(cases)), memory_limit())
    dice = _dice(test_set, predictions, summary, made, scorers)
    files = {
        name: surface.Files(case.images[0], case.label, predictions / f"{name}{ending}") for name, case in cases.items()
    }
    surfaces = surface.measure(files, what, contract.processes)
    return scores.EnsembleScores(
        dice=dice,
        nsd={case: {key: found.nsd for key, found in classes.items()} for case, classes in surfaces.items()},
        hd95={case: {key: found.hd95 for key, found in classes.items()} for case, classes in surfaces.items()},
        missing={
            case: {key: found.missing for key, found in classes.items() if found.missing}
            for case, classes in surfaces.items()
        },
        unit=surface.unit_of(what.reader),
        inference=made.inference,
        workers=made.workers,
    )


def inference_by(predictor: Any, ensemble: Ensemble) -> dict[str, Any]:
    """Return how is predicted: with which checkpoints, windows and mirrored copies. Nothing follows it."""
    return {
        "checkpoint": ensemble.checkpoint,
        "tileStepSize": float(predictor.tile_step_size),
        "gaussian": bool(predictor.use_gaussian),
        "mirroring": bool(predictor.use_mirroring),
        MIRROR_AXES: sorted(int(axis) for axis in predictor.allowed_mirroring_axes or ()),
        "postprocessing": "none",
    }


def _load(contract: RunContract, ensemble: Ensemble) -> Any:
    """Return nnU-Net's predictor with the networks of the ensemble."""
    import torch
    from nnunetv2.inference import predict_from_raw_data

    from nnunet_trainer.run.restricted import only_restricted_loads

    make_exports_atomic(predict_from_raw_data, fence=ensemble.fence)
    if ensemble.fence:
        fence_notes(predict_from_raw_data, ensemble.fence)
    torch.set_num_threads(environment.torch_threads(contract))
    if contract.device is Device.CUDA:
        require_gpu()
    predictor = predict_from_raw_data.nnUNetPredictor(
        tile_step_size=contract.evaluation.step_size,
        use_mirroring=contract.evaluation.mirroring,
        device=torch.device(contract.device.value),
        allow_tqdm=False,
    )
    folds = tuple(fold if fold == "all" else int(fold) for fold in ensemble.folds)
    with only_restricted_loads(ensemble.proven):
        predictor.initialize_from_trained_model_folder(str(ensemble.model), folds, ensemble.checkpoint)
    return predictor


@dataclass
class Predicted:
    """What has predicted cases."""

    predictor: Any
    """nnU-Net's predictor, with the networks of the last stage."""
    extents: Mapping[str, Extent]
    """How large the cases are for it."""
    workers: int | None
    """How many workers predicted; None where nothing was missing."""


def predict(
    contract: RunContract,
    ensemble: Ensemble,
    images: Mapping[str, Sequence[Path]],
    ending: str,
    output: Path,
    probabilities: bool = False,
) -> Predicted:
    """Let the folder hold the predictions of these cases by this ensemble and no others.

    What is there, from the same images and checkpoints, is kept. In a cascade the previous stage predicts first, into a
    folder beside. `images` has the channels of each case by its name, `ending` is that of all files. Where asked for,
    `probabilities` are kept beside the segmentations.
    """
    before = None
    if ensemble.previous:
        before = output.with_name(f"{output.name}{PREVIOUS_STAGE}")
        predict(contract, ensemble.previous, images, ending, before)
    read_checked_plans(ensemble.model / "plans.json")
    predictor = _load(contract, ensemble)
    extents = extents_of(predictor, images)
    output.mkdir(parents=True, exist_ok=True)
    inputs = prediction_inputs(images, ensemble.all_checkpoints, contract.processes)
    there = fresh_ones(output, ending, inputs, ensemble.fence)
    missing = sorted(set(images) - (there & whole_probabilities(output) if probabilities else there))
    log.info(
        "predicting %d of %d cases with %s of folds %s of %s",
        len(missing),
        len(images),
        ensemble.checkpoint,
        ", ".join(ensemble.folds),
        ensemble.model.name,
    )
    workers = None
    if missing:
        left = {name: images[name] for name in missing}
        sizes = [extents[name] for name in missing]
        kept = len(images) - len(missing)
        # Segmentations are in place when they are whole.
        with heartbeat(
            f"predicting with {ensemble.model.name}",
            lambda: f"{kept + _number(output, ending, missing)}/{len(images)} cases",
        ):
            workers = predict_cases(contract, predictor, left, sizes, output, before, probabilities, ensemble.fence)
    return Predicted(predictor, extents, workers)


def _number(folder: Path, ending: str, cases: Sequence[str]) -> int:
    return sum((folder / f"{case}{ending}").exists() for case in cases)


def _dice(test_set: HeldOut, predictions: Path, summary: Path, made: Made, processes: int) -> scores.CaseScores:
    """Return the Dice by nnU-Net's own evaluation, whose summary is kept."""
    from nnunetv2.evaluation import evaluate_predictions

    pass_over_unfinished(evaluate_predictions)
    cases, what, fence = test_set.cases, made.what, made.fence
    temporary = fence.temporary(summary) if fence else temporary_path(summary)
    evaluate_predictions.compute_metrics_on_folder(
        str(cases[min(cases)].label.parent),
        str(predictions),
        str(temporary),
        what.reader,
        test_set.ending,
        list(what.regions),
        what.ignore_label,
        num_processes=processes,
    )
    if fence:
        fence.check()
    temporary.replace(summary)
    found = scores.read_scores(summary, test_set.ending)
    if absent := set(cases) - set(found):
        raise RuntimeError(f"no prediction for test cases {named(absent)}")
    return found
