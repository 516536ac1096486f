"""Predictions of the test set by the ensemble of a replicate's folds, and their scores."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nnunet_api.contract import RunContract
from nnunet_api.dataset.layout import named
from nnunet_api.training import Device
from nnunet_trainer.dataset.identity import prediction_inputs
from nnunet_trainer.dataset.raw import Case
from nnunet_trainer.process.files import temporary_path
from nnunet_trainer.process.gpu import require_gpu
from nnunet_trainer.run import environment
from nnunet_trainer.run.paths import BEST, FINAL
from nnunet_trainer.scoring import scores, surface
from nnunet_trainer.scoring.predictions import fresh_ones, make_exports_atomic

log = logging.getLogger(__name__)

PREDICTIONS = {FINAL: "predictions_test", BEST: "predictions_test_best"}
"""Folder of the predictions, for each checkpoint."""
TEST_SUMMARIES = {FINAL: "test_summary.json", BEST: "test_summary_best.json"}
"""nnU-Net's own summary of them."""
MIRROR_AXES = "mirrorAxes"
"""Key of the axes along which copies are mirrored and predicted, too."""
_PREDICTION_PROCESSES = 3
"""nnU-Net's own number of preprocessing and of export processes for prediction."""


@dataclass(frozen=True)
class HeldOut:
    """The test set."""

    cases: dict[str, Case]
    ending: str
    """Ending of its files, for example .nii.gz."""


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

    @property
    def checkpoints(self) -> list[Path]:
        """The checkpoint of each fold."""
        return [self.model / f"fold_{fold}" / self.checkpoint for fold in self.folds]


def score_ensemble(contract: RunContract, ensemble: Ensemble, test_set: HeldOut) -> scores.EnsembleScores:
    """Predict the test cases and return the scores. Predictions that are there, from the same inputs, are kept."""
    cases, ending = test_set.cases, test_set.ending
    predictions = ensemble.results / PREDICTIONS[ensemble.checkpoint]
    predictor = _load(contract, ensemble)
    _predict_missing(contract, predictor, ensemble, test_set, predictions)
    manager = predictor.label_manager
    what = surface.Measurement(
        reader=predictor.plans_manager.image_reader_writer_class(),
        regions=tuple(manager.foreground_regions if manager.has_regions else manager.foreground_labels),
        ignore_label=manager.ignore_label,
        tolerance=contract.evaluation.surface_tolerance_mm,
    )
    inference = _inference(predictor, ensemble)
    # The networks' memory is the measurement's now.
    del predictor
    summary = ensemble.results / TEST_SUMMARIES[ensemble.checkpoint]
    dice = _dice(test_set, predictions, summary, what, contract.processes)
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
        inference=inference,
    )


def _inference(predictor: Any, ensemble: Ensemble) -> dict[str, Any]:
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

    make_exports_atomic(predict_from_raw_data)
    torch.set_num_threads(environment.torch_threads(contract))
    if contract.device is Device.CUDA:
        require_gpu()
    predictor = predict_from_raw_data.nnUNetPredictor(device=torch.device(contract.device.value), allow_tqdm=False)
    folds = tuple(fold if fold == "all" else int(fold) for fold in ensemble.folds)
    with only_restricted_loads(ensemble.proven):
        predictor.initialize_from_trained_model_folder(str(ensemble.model), folds, ensemble.checkpoint)
    return predictor


def _predict_missing(
    contract: RunContract, predictor: Any, ensemble: Ensemble, test_set: HeldOut, output: Path
) -> None:
    """Let the folder hold the predictions of these cases by this ensemble and no others."""
    cases, ending = test_set.cases, test_set.ending
    output.mkdir(parents=True, exist_ok=True)
    images = {name: case.images for name, case in cases.items()}
    inputs = prediction_inputs(images, ensemble.checkpoints, contract.processes)
    missing = sorted(set(cases) - fresh_ones(output, ending, inputs))
    log.info(
        "predicting %d of %d test cases with %s of folds %s",
        len(missing),
        len(cases),
        ensemble.checkpoint,
        ", ".join(ensemble.folds),
    )
    if missing:
        processes = min(contract.processes, _PREDICTION_PROCESSES)
        predictor.predict_from_files(
            [[str(path) for path in cases[name].images] for name in missing],
            [str(output / name) for name in missing],
            num_processes_preprocessing=processes,
            num_processes_segmentation_export=processes,
        )


def _dice(
    test_set: HeldOut, predictions: Path, summary: Path, what: surface.Measurement, processes: int
) -> scores.CaseScores:
    """Return the Dice by nnU-Net's own evaluation, whose summary is kept."""
    from nnunetv2.evaluation.evaluate_predictions import compute_metrics_on_folder

    cases = test_set.cases
    compute_metrics_on_folder(
        str(cases[min(cases)].label.parent),
        str(predictions),
        str(temporary_path(summary)),
        what.reader,
        test_set.ending,
        list(what.regions),
        what.ignore_label,
        num_processes=processes,
    )
    temporary_path(summary).replace(summary)
    found = scores.read_scores(summary, test_set.ending)
    if absent := set(cases) - set(found):
        raise RuntimeError(f"no prediction for test cases {named(absent)}")
    return found
