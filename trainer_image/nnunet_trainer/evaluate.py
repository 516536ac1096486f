"""`nnunet-trainer evaluate`: cross-validation Dice of the folds, and the ensemble's Dice on the test set."""

import logging
from pathlib import Path
from typing import Any

from nnunet_operator.api.contract import EvaluationFacts, PlanFacts, RunContract, TerminationReport
from nnunet_operator.api.exit_codes import ExitCode
from nnunet_operator.api.status import MAX_CLASSES
from nnunet_operator.api.training import Device
from nnunet_trainer import environment, scores
from nnunet_trainer.dataset import Case, check_test_set, check_test_set_whole, load_dataset, named
from nnunet_trainer.failures import TrainerError, is_missing_or_damaged
from nnunet_trainer.files import Locked, lock, read_json, temporary_path, write_json
from nnunet_trainer.heartbeat import heartbeat
from nnunet_trainer.identity import prediction_inputs
from nnunet_trainer.paths import FINAL, RunPaths
from nnunet_trainer.predictions import fresh_ones, make_exports_atomic
from nnunet_trainer.train import LOCK_TIMEOUT_SECONDS, VALIDATION_SUMMARY, read_plan, require_gpu

log = logging.getLogger(__name__)

LOCK_FILE = ".evaluate.lock"
PREDICTIONS = "predictions_test"
TEST_SUMMARY = "test_summary.json"
_PREDICTION_PROCESSES = 3
"""nnU-Net's own number of preprocessing and of export processes for prediction."""


def evaluate(contract: RunContract, paths: RunPaths) -> TerminationReport:
    """Score the training and return the report. What an earlier attempt finished is not done again."""
    plan = read_plan(paths)
    try:
        with lock(paths.run / LOCK_FILE, "evaluation", LOCK_TIMEOUT_SECONDS):
            return _evaluate(contract, paths, plan)
    except Locked as error:
        # Another attempt is alive: not a failure of this one, and none to be counted.
        raise TrainerError(
            ExitCode.PREEMPTED, f"another pod evaluates this training ({error}); trying again later"
        ) from error


def _evaluate(contract: RunContract, paths: RunPaths, plan: PlanFacts) -> TerminationReport:
    model = paths.model(contract, plan.plans_name)
    labels = _dataset_json(model)["labels"]
    ending = str(_dataset_json(model)["file_ending"])
    validation = {fold: _validation_scores(model, fold, ending) for fold in contract.folds if fold != "all"}
    test: scores.CaseScores = {}
    # Cheap checks of the test set come before torch is loaded.
    cases = _test_cases(contract, paths)
    environment.prepare(contract, paths, paths.preprocessed / plan.preprocessed_key)
    _require_final_checkpoints(contract, model)
    if cases:
        test = _score_test_set(contract, paths, model, cases, ending)
    facts = _facts(contract, plan, validation, test, labels)
    _write_summary(paths, facts, validation, test, labels)
    return TerminationReport(message=_message(facts), evaluation=facts)


def _dataset_json(model: Path) -> dict[str, Any]:
    try:
        content: dict[str, Any] = read_json(model / "dataset.json")
    except (OSError, ValueError) as error:
        raise TrainerError(
            ExitCode.CHECKPOINT_UNUSABLE, f"the model folder {model} is incomplete: {error}. Train the folds first"
        ) from error
    return content


def _validation_scores(model: Path, fold: str, ending: str) -> scores.CaseScores:
    try:
        return scores.read_scores(model / f"fold_{fold}" / VALIDATION_SUMMARY, ending)
    except (OSError, ValueError) as error:
        if not is_missing_or_damaged(error):
            raise
        raise _incomplete(fold, f"its validation/summary.json can't be read ({error})") from error


def _incomplete(fold: str, reason: str) -> TrainerError:
    return TrainerError(
        ExitCode.CHECKPOINT_UNUSABLE,
        f"fold {fold} is not complete: {reason}. Suspend and resume the training: the fold is finished again from its "
        "newest checkpoint that loads",
    )


def _require_final_checkpoints(contract: RunContract, model: Path) -> None:
    from nnunet_trainer.checkpoints import finished_epochs

    for fold in contract.folds:
        try:
            epochs = finished_epochs(model / f"fold_{fold}" / FINAL)
        except Exception as error:
            if not is_missing_or_damaged(error):
                raise
            raise _incomplete(fold, f"its {FINAL} can't be read ({error})") from error
        if epochs < contract.schedule.epochs:
            raise _incomplete(fold, f"its {FINAL} has {epochs} of {contract.schedule.epochs} epochs")


def _test_cases(contract: RunContract, paths: RunPaths) -> dict[str, Case]:
    if contract.test_set is None:
        return {}
    dataset = load_dataset(paths.raw, contract.dataset, contract.folds)
    cases = check_test_set(dataset, contract.test_set)
    with heartbeat("looking for files of the test set that are cut short"):
        check_test_set_whole(dataset, cases)
    return cases


def _score_test_set(
    contract: RunContract, paths: RunPaths, model: Path, cases: dict[str, Case], ending: str
) -> scores.CaseScores:
    """Predict the test cases with the ensemble of the folds and return their scores."""
    import torch
    from nnunetv2.evaluation.evaluate_predictions import compute_metrics_on_folder
    from nnunetv2.inference import predict_from_raw_data

    make_exports_atomic(predict_from_raw_data)
    torch.set_num_threads(environment.torch_threads(contract))
    if contract.device is Device.CUDA:
        require_gpu()
    predictor = predict_from_raw_data.nnUNetPredictor(device=torch.device(contract.device.value), allow_tqdm=False)
    folds = tuple(fold if fold == "all" else int(fold) for fold in contract.folds)
    predictor.initialize_from_trained_model_folder(str(model), folds, FINAL)
    output = paths.run / PREDICTIONS
    _predict_missing(contract, predictor, model, cases, output, ending)
    reader = predictor.plans_manager.image_reader_writer_class()
    manager = predictor.label_manager
    summary = paths.run / TEST_SUMMARY
    compute_metrics_on_folder(
        str(cases[min(cases)].label.parent),
        str(output),
        str(temporary_path(summary)),
        reader,
        ending,
        manager.foreground_regions if manager.has_regions else manager.foreground_labels,
        manager.ignore_label,
        num_processes=contract.processes,
    )
    temporary_path(summary).replace(summary)
    found = scores.read_scores(summary, ending)
    if absent := set(cases) - set(found):
        raise RuntimeError(f"no prediction for test cases {named(absent)}")
    return found


def _predict_missing(
    contract: RunContract, predictor: Any, model: Path, cases: dict[str, Case], output: Path, ending: str
) -> None:
    """Let the folder hold the predictions of these cases by this model and no others."""
    output.mkdir(parents=True, exist_ok=True)
    images = {name: case.images for name, case in cases.items()}
    checkpoints = [model / f"fold_{fold}" / FINAL for fold in contract.folds]
    inputs = prediction_inputs(images, checkpoints, contract.processes)
    missing = sorted(set(cases) - fresh_ones(output, ending, inputs))
    log.info("predicting %d of %d test cases with folds %s", len(missing), len(cases), ", ".join(contract.folds))
    if missing:
        processes = min(contract.processes, _PREDICTION_PROCESSES)
        predictor.predict_from_files(
            [[str(path) for path in cases[name].images] for name in missing],
            [str(output / name) for name in missing],
            num_processes_preprocessing=processes,
            num_processes_segmentation_export=processes,
        )


def _facts(
    contract: RunContract,
    plan: PlanFacts,
    validation: dict[str, scores.CaseScores],
    test: scores.CaseScores,
    labels: dict[str, Any],
) -> EvaluationFacts:
    all_cases = [case for fold in validation.values() for case in fold.values()]
    fold_dice = {fold: scores.foreground_mean(cases.values()) for fold, cases in validation.items()}
    classes = scores.named_classes(scores.class_means(test.values()), labels)
    if test and (absent := set(scores.class_names(labels).values()) - set(classes)):
        log.warning("no test case holds or predicts %s: left out of the mean", named(absent))
    model = f"{contract.dataset}/{contract.trainer_class}__{plan.plans_name}__{contract.configuration}"
    return EvaluationFacts(
        mean_validation_dice=scores.foreground_mean(all_cases),
        fold_dice={fold: dice for fold, dice in fold_dice.items() if dice is not None},
        test_mean=scores.foreground_mean(test.values()),
        test_cases=len(test) or None,
        test_per_class=dict(list(classes.items())[:MAX_CLASSES]),
        model_path=f"{contract.run_folder}/{model}",
    )


def _write_summary(
    paths: RunPaths,
    facts: EvaluationFacts,
    validation: dict[str, scores.CaseScores],
    test: scores.CaseScores,
    labels: dict[str, Any],
) -> None:
    content = facts.to_json_dict()
    content["testPerClass"] = scores.named_classes(scores.class_means(test.values()), labels)
    all_cases = [case for fold in validation.values() for case in fold.values()]
    content["validationPerClass"] = scores.named_classes(scores.class_means(all_cases), labels)
    content["testByCase"] = scores.by_case(test, labels)
    content["validationByCase"] = {fold: scores.by_case(cases, labels) for fold, cases in validation.items()}
    write_json(paths.summary, content)


def _message(facts: EvaluationFacts) -> str:
    parts = []
    if facts.test_mean is not None:
        parts.append(f"test Dice {facts.test_mean:.4f} on {facts.test_cases} cases")
    if facts.mean_validation_dice is not None:
        parts.append(f"cross-validation Dice {facts.mean_validation_dice:.4f}")
    return "evaluated: " + (", ".join(parts) or "no validation and no test cases")
